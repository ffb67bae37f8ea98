/** Something that is not as it was written, and where. What can't be told is null. */
export type Finding = {
  readonly stream: string | null;
  readonly revision: number | null;
  readonly position: string | null;
  /** What is wrong, in plain words. */
  readonly problem: string;
};

/** What is found in one log at the most: beyond that it is no question of single events. */
const MAX_FINDINGS = 1_000;

/** There is too much wrong to list it. */
export class TooManyFindingsError extends Error {
  override readonly name = 'TooManyFindingsError';
}

/** What was found so far, bounded. */
export class Findings {
  readonly all: Finding[] = [];

  add(where: Partial<Finding>, problem: string): void {
    const { stream = null, revision = null, position = null } = where;
    this.all.push({ stream, revision, position, problem });
    if (this.all.length >= MAX_FINDINGS) throw new TooManyFindingsError(`the audit ends after ${MAX_FINDINGS} findings`);
  }
}

/** A finding as a line for people. */
export function formatFinding({ stream, revision, position, problem }: Finding): string {
  const places = [
    ...(stream === null ? [] : [`stream ${stream}`]),
    ...(revision === null ? [] : [`revision ${revision}`]),
    ...(position === null ? [] : [`position ${position}`]),
  ];
  return `${places.length === 0 ? 'the log' : places.join(', ')}: ${problem}`;
}
