import { setTimeout as delay } from 'node:timers/promises';
import { type Position, type Store } from '../../events/store.ts';
import { formatFinding } from '../audit/finding.ts';
import { type Comparison, compareLogs, type EqualEnd } from './compare-logs.ts';
import { copyLog } from './copy-log.ts';
import { patiently } from '../log-access/patiently.ts';
import type { ProgressBar } from './progress.ts';
import type { RouterStart } from './router-start.ts';
import { tableOf } from './table.ts';

/*
 * Moving a log to another store, while the service goes on until the last step:
 *
 *   copy            as often as one likes: to the present end, then compared
 *   (stop the APIs and workers)
 *   copy --finish   copies the rest, compares all, sees that nothing was written meanwhile, moves the router's start
 *   (set EVENTSTORE_URL, or take it away; start the APIs and workers)
 */

/** Events behind the copy that are counted, at the most. */
const COUNTED = 500;

export type CopyParts = {
  readonly source: Pick<Store, 'readAll' | 'readStreams' | 'lastPosition'>;
  readonly target: Store;
  /** Prints a line, or several. */
  readonly say: (text: string) => void;
  readonly progress: (what: string, end: Position) => ProgressBar;
};

export type FinishParts = CopyParts & {
  /** APIs and workers that run, in words. */
  readonly writers: () => Promise<readonly string[]>;
  readonly routerStart: Pick<RouterStart, 'note' | 'move'>;
  /** In ms: for so long at least nobody may write. */
  readonly quiet: number;
};

/** Copies to the present end and compares. Returns whether what is in the target is what is in the source. */
export async function copyOn(parts: CopyParts): Promise<boolean> {
  return compareUpTo(parts, await copyToEnd(parts));
}

/** Compares as far as the source goes now. Returns whether what is in the target is what is in the source. */
export async function compareOnly(parts: CopyParts): Promise<boolean> {
  return compareUpTo(parts, await patiently(() => parts.source.lastPosition()));
}

async function compareUpTo(parts: CopyParts, upTo: Position): Promise<boolean> {
  const { source, say } = parts;
  const comparison = await compared(parts, upTo);
  const behind = await eventsBehind(source, upTo);
  // While the source goes on, its streams are longer than their copies; where it stands still they may not be.
  if (!isSame(comparison, { mayBeBehind: behind > 0 })) return refuse(parts, comparison);
  if (behind === 0) say('The copy is level with the source.');
  else say(`The source went on meanwhile: the copy is ${behind >= COUNTED ? 'at least ' : ''}${behind} events behind.`);
  return true;
}

/** How many events a log holds behind a position, as far as they are counted. */
async function eventsBehind(source: CopyParts['source'], position: Position): Promise<number> {
  return (await patiently(() => source.readAll({ after: position, limit: COUNTED }))).length;
}

/**
 * The last step: copies what is left, compares all of it, and moves the router's start. Returns whether it was done:
 * not while APIs or workers run, nor where the source went on, nor where anything differs.
 */
export async function finish(parts: FinishParts): Promise<boolean> {
  const { source, target, say, routerStart, writers, quiet } = parts;
  if (!(await areStopped(writers, say))) return false;
  const upTo = await copyToEnd(parts);
  const silence = delay(quiet);
  const comparison = await compared(parts, upTo, (ends) => routerStart.note(ends));
  await silence;
  if ((await eventsBehind(source, upTo)) > 0) {
    say('The source went on while it was compared: somebody writes it. Stop all APIs and workers, then finish again.');
    return false;
  }
  if (!(await areStopped(writers, say))) return false;
  if (!isSame(comparison, { mayBeBehind: false })) return refuse(parts, comparison);
  const start = await routerStart.move(await patiently(() => target.lastPosition()));
  say(`The copy is complete. The router starts at position ${start} of the target: point the service there, and start it.`);
  return true;
}

/** Returns the position of the last event that was copied. */
async function copyToEnd({ source, target, say, progress }: CopyParts): Promise<Position> {
  const bar = progress('copying', await patiently(() => source.lastPosition()));
  try {
    const { written, found, position } = await copyLog(
      { source, target },
      { onProgress: (copied) => bar.at(copied.position, `${copied.written} events written, ${copied.found} there before`) },
    );
    bar.stop();
    say(`Copied up to position ${position}: ${written} events written, ${found} were there before.`);
    return position;
  } finally {
    bar.stop();
  }
}

async function compared(
  { source, target, progress, say }: CopyParts,
  upTo: Position,
  onEnds?: (ends: readonly EqualEnd[]) => Promise<void>,
): Promise<Comparison> {
  const bar = progress('comparing', upTo);
  try {
    const onProgress = (position: Position): void => bar.at(position);
    const comparison = await compareLogs({ source, target, upTo }, { onProgress, ...(onEnds && { onEnds }) });
    bar.stop();
    say(tableOf(comparison));
    return comparison;
  } finally {
    bar.stop();
  }
}

function isSame({ findings, behind }: Comparison, { mayBeBehind }: { readonly mayBeBehind: boolean }): boolean {
  return findings.length === 0 && (mayBeBehind || behind === 0);
}

function refuse({ say }: CopyParts, { findings, shorter }: Comparison): false {
  for (const finding of [...findings, ...shorter]) say(formatFinding(finding));
  say('The two logs differ.');
  return false;
}

async function areStopped(writers: () => Promise<readonly string[]>, say: (text: string) => void): Promise<boolean> {
  const running = await writers();
  if (running.length === 0) return true;
  say(['APIs or workers are connected, and may write. Stop them all, then finish:', ...running].join('\n'));
  return false;
}
