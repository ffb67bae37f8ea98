import { eventHash, eventId, NO_HASH } from '../../events/chain.ts';
import type { StoredEvent } from '../../events/event-types.ts';
import { metadataSchema } from '../../events/metadata.ts';
import { NO_STREAM, type Position, type PositionedEvent, START, type Store } from '../../events/store.ts';
import { type Finding, Findings, TooManyFindingsError } from '../audit/finding.ts';
import { patiently } from '../log-access/patiently.ts';

/** What was gone through of one log. */
export type Counted = { readonly streams: number; readonly events: number };

/** A stream that stands in both logs alike, and where it ends. */
export type EqualEnd = { readonly stream: string; readonly revision: number };

export type Comparison = {
  readonly source: Counted;
  readonly target: Counted;
  /** Streams whose last event has the same hash in both. */
  readonly equalEnds: number;
  /** Events of the source that follow on what the target holds: the target is so far behind. */
  readonly behind: number;
  /** Streams that go on in the source where they end in the target, the first twenty. */
  readonly shorter: readonly Finding[];
  /** All that is not as it should be, what the target is behind apart. */
  readonly findings: readonly Finding[];
};

type Reader = Pick<Store, 'readAll' | 'readStreams'>;

/** Events that are read at a time: of the log to find its streams, of each stream that is compared. */
const LOG_PAGE = 500;
const STREAM_PAGE = 100;
/** Streams that are compared at a time. */
const TOGETHER = 8;
const MAX_SHORTER = 20;

/**
 * Compares two logs stream by stream, event by event, and recomputes the hash of every event of the target with its link
 * to the one before. Goes through the source up to the position `upTo`. Memory holds a page of eight streams. `onEnds`
 * is told where streams end that are alike.
 */
export async function compareLogs(
  { source, target, upTo }: { readonly source: Reader; readonly target: Reader; readonly upTo: Position },
  {
    onProgress = () => undefined,
    onEnds = async () => undefined,
  }: { onProgress?: (position: Position) => void; onEnds?: (ends: readonly EqualEnd[]) => Promise<void> } = {},
): Promise<Comparison> {
  const findings = new Findings();
  const sum: Sum = { source: { streams: 0, events: 0 }, target: { streams: 0, events: 0 }, equalEnds: 0, behind: 0, shorter: [] };
  try {
    for await (const page of pagesOf(source, upTo)) {
      const streams = page.filter(({ revision }) => revision === 0).map(({ stream }) => stream);
      for (let from = 0; from < streams.length; from += TOGETHER) {
        const together = streams.slice(from, from + TOGETHER);
        const compared = await Promise.all(together.map((stream) => compareStream(stream, { source, target }, findings)));
        for (const one of compared) add(sum, one);
        await onEnds(compared.filter(({ isEqual }) => isEqual).map(({ stream, last }) => ({ stream, revision: last })));
      }
      onProgress(page.at(-1)?.position ?? upTo);
    }
    await checkNothingElse({ source, target, accounted: sum.target.events }, sum.target, findings);
  } catch (error) {
    if (!(error instanceof TooManyFindingsError)) throw error;
    findings.all.push({ stream: null, revision: null, position: null, problem: error.message });
  }
  return { ...sum, findings: findings.all };
}

async function* pagesOf(log: Reader, upTo?: Position): AsyncGenerator<readonly PositionedEvent[]> {
  for (let after = START; after !== upTo; ) {
    const page = await patiently(() => log.readAll({ after, limit: LOG_PAGE }));
    const end = page.findIndex(({ position }) => position === upTo);
    const counted = end === -1 ? page : page.slice(0, end + 1);
    const last = counted.at(-1);
    if (last === undefined) return;
    if (last.position === after) throw new Error(`the log gives position ${after} again and again`);
    yield counted;
    after = last.position;
  }
}

type Compared = {
  readonly stream: string;
  readonly source: number;
  readonly target: number;
  /** The last revision of the source. */
  readonly last: number;
  readonly isEqual: boolean;
  readonly behind: number;
};

type Sum = {
  readonly source: Writable<Counted>;
  readonly target: Writable<Counted>;
  equalEnds: number;
  behind: number;
  readonly shorter: Finding[];
};

function add(sum: Sum, one: Compared): void {
  sum.source.streams += 1;
  sum.source.events += one.source;
  if (one.target > 0) sum.target.streams += 1;
  sum.target.events += one.target;
  if (one.isEqual) sum.equalEnds += 1;
  sum.behind += one.behind;
  if (one.behind === 0 || sum.shorter.length === MAX_SHORTER) return;
  const problem = `the target ends before this revision, the source goes on to revision ${one.last}`;
  sum.shorter.push({ stream: one.stream, revision: one.target, position: null, problem });
}

type Writable<Type> = { -readonly [Name in keyof Type]: Type[Name] };

/** Compares a stream to its end in both logs. */
async function compareStream(
  stream: string,
  { source, target }: { readonly source: Reader; readonly target: Reader },
  findings: Findings,
): Promise<Compared> {
  const counts = { source: 0, target: 0 };
  let lastHash = { source: NO_HASH, target: NO_HASH };
  let behind = 0;
  for (let from = 0; ; from += STREAM_PAGE) {
    // Of a range the store reads no more than is in it, however long the stream.
    const range = { stream, from, to: from + STREAM_PAGE - 1 };
    const read = (log: Reader) => patiently(() => log.readStreams([range]));
    const [ours, theirs] = await Promise.all([read(source), read(target)]);
    for (let index = 0; index < Math.max(ours.length, theirs.length); index += 1) {
      const [our, their] = [ours[index], theirs[index]];
      if (their === undefined) behind += 1;
      else compareEvent(our, their, { revision: from + index, prevHash: lastHash.target }, findings);
      lastHash = { source: textOf(our) ?? lastHash.source, target: textOf(their) ?? lastHash.target };
    }
    counts.source += ours.length;
    counts.target += theirs.length;
    if (ours.length < STREAM_PAGE && theirs.length < STREAM_PAGE) break;
  }
  const isEqual = counts.source === counts.target && lastHash.source === lastHash.target;
  return { stream, ...counts, last: NO_STREAM + counts.source, isEqual, behind };
}

function textOf(event: StoredEvent | undefined): string | undefined {
  return event?.hash.toString('base64url');
}

/** Checks an event of the target by itself, and against the source's. */
function compareEvent(
  ours: StoredEvent | undefined,
  theirs: StoredEvent,
  { revision, prevHash }: { readonly revision: number; readonly prevHash: string },
  findings: Findings,
): void {
  const where = { stream: theirs.stream, revision };
  if (theirs.revision !== revision) {
    findings.add(where, `the target has revision ${theirs.revision} in its place`);
  } else if (!eventHash(theirs).equals(theirs.hash)) {
    findings.add(where, 'its content or place in the target is not what was hashed');
  } else if (theirs.id !== eventId(theirs.hash)) {
    findings.add(where, 'its id in the target is not the beginning of its hash');
  } else if (prevHashIn(theirs.metadata) !== prevHash) {
    findings.add(where, 'the event before it in the target has another hash than it names');
  } else if (ours === undefined) {
    findings.add(where, `it stands in the target alone: ${theirs.id} (${theirs.type})`);
  } else if (ours.revision !== revision || !ours.hash.equals(theirs.hash)) {
    findings.add(where, `the target holds ${theirs.id} (${theirs.type}), the source ${ours.id} (${ours.type})`);
  }
}

const linkSchema = metadataSchema.pick({ prevHash: true });

function prevHashIn(metadata: string): string | undefined {
  try {
    return linkSchema.safeParse(JSON.parse(metadata)).data?.prevHash;
  } catch {
    return undefined;
  }
}

/** Counts the whole target. Where it holds more than the source's streams account for, names the streams that it alone has. */
async function checkNothingElse(
  { source, target, accounted }: { readonly source: Reader; readonly target: Reader; readonly accounted: number },
  counted: Writable<Counted>,
  findings: Findings,
): Promise<void> {
  let events = 0;
  for await (const page of pagesOf(target)) events += page.length;
  if (events === accounted) return;
  for await (const page of pagesOf(target)) {
    const streams = page.filter(({ revision }) => revision === 0).map(({ stream }) => stream);
    const known = await patiently(() => source.readStreams(streams.map((stream) => ({ stream, from: 0, to: 0 }))));
    const names = new Set(known.map(({ stream }) => stream));
    for (const stream of streams) {
      if (names.has(stream)) continue;
      counted.streams += 1;
      findings.add({ stream }, 'the target alone has this stream');
    }
  }
  counted.events = events;
  findings.add({}, `the target's log has ${events} events, its streams that the source has hold ${accounted}`);
}
