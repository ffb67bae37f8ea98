import { setTimeout as delay } from 'node:timers/promises';
import type { StoredEvent } from '../event-types.ts';
import { type Position, type PositionedEvent, START, type Store, StoreUnavailableError, StreamGoneError } from '../store.ts';
import type { Connection } from './connection.ts';
import type { Names } from './names.ts';
import type { Range, Read, RecordedEvent } from './protocol.ts';

/** Events of the whole log, and of streams, in one question: few enough to answer in time. */
const PAGE = 1_000;
const EVENTS_TOGETHER = 10_000;
/** How many of the last events are looked through for one of ours, in turn. */
const LAST_EVENTS = [1, 64, 2_000];

/** In ms: for how long what can't be read is asked for again, and after what rest. */
const AGAIN_FOR = 500;
const AGAIN_AFTER = 50;

/** A piece of a stream by the ledger's name. */
export type StreamRange = Range;

/** Events behind a position, and up to where the log was searched for them. */
export type Searched = { readonly events: readonly PositionedEvent[]; readonly upTo: Position };

export type KurrentReader = Pick<Store, 'readStream' | 'readStreams' | 'readAll' | 'lastPosition'> & {
  /** Some pieces of streams, one array for each. Throws StoreUnavailableError where one of them can't be read. */
  readonly readRanges: (ranges: readonly StreamRange[]) => Promise<readonly (readonly StoredEvent[])[]>;
  /** The heads of streams, -1 for those that don't exist; undefined where one can't be told. */
  readonly heads: (streams: readonly string[]) => Promise<readonly (number | undefined)[]>;
  readonly search: (options: { readonly after: Position; readonly limit: number }) => Promise<Searched>;
};

/** Reading streams and the whole log. */
export function kurrentReader(connection: Connection, names: Names): KurrentReader {
  const readRanges: KurrentReader['readRanges'] = async (ranges) => {
    const asked = ranges.filter(({ count }) => count > 0);
    const read: Read[] = [];
    for (const some of questionsOf(asked)) read.push(...(await patiently(some.map(toServer), (part) => connection.read(part))));
    const found = new Map<StreamRange, readonly StoredEvent[]>();
    for (const [index, range] of asked.entries()) {
      const result = read[index];
      if (result === undefined || 'why' in result) throw unreadable(range.stream, result);
      found.set(
        range,
        result.events.map((event) => toStored(event, range.stream)),
      );
    }
    return ranges.map((range) => found.get(range) ?? []);
  };

  const toServer = (range: StreamRange): Range => ({ ...range, stream: names.toServer(range.stream) });

  const search: KurrentReader['search'] = async ({ after, limit }) => {
    const events: PositionedEvent[] = [];
    for (let upTo = after; ; ) {
      const count = Math.min(PAGE, limit - events.length);
      const from = upTo === START ? undefined : upTo;
      const found = await answered(() => connection.search({ after: from, prefixes: names.prefixes, count }));
      for (const event of found.events) {
        const stream = names.toLedger(event.stream);
        if (stream !== undefined && event.position !== null && isEvent(event))
          events.push({ ...toStored(event, stream), position: event.position });
      }
      upTo = found.upTo ?? upTo;
      if (events.length >= limit || found.isEnd) return { events, upTo };
    }
  };

  return {
    readRanges,
    search,
    readStream: async (stream, { from, direction = 'forward', limit }) => {
      const [events = []] = await readRanges([{ stream, from, direction, count: limit }]);
      return events;
    },
    readStreams: async (ranges) => {
      const read = await readRanges(
        ranges.map(({ stream, from, to }) => ({ stream, from, direction: 'forward', count: Math.max(to - from + 1, 0) })),
      );
      return read.flat();
    },
    readAll: async (options) => (await search(options)).events,
    lastPosition: async () => {
      let page: readonly RecordedEvent[] = [];
      for (const count of LAST_EVENTS) {
        const read = await answered(() => connection.readAll({ at: undefined, direction: 'backward', count }));
        page = read.events;
        const ours = page.find((event) => isEvent(event) && names.toLedger(event.stream) !== undefined);
        if (ours !== undefined || page.length < count) return ours?.position ?? START;
      }
      // Nothing of ours stands behind it, at least.
      return page[0]?.position ?? START;
    },
    heads: async (streams) => {
      const ranges = streams.map((stream): Range => ({ stream, from: undefined, direction: 'backward', count: 1 }));
      const read = await patiently(ranges.map(toServer), (some) => connection.read(some));
      return read.map((result) => ('why' in result ? undefined : (result.events[0]?.revision ?? -1)));
    },
  };
}

/*
 * What failed at once is asked for again: a client that is sent to another leader, or whose connection has broken, refuses
 * the calls that were under way and is well again. (A server may also end a connection on which many searches were ended:
 * nghttp2 does after a thousand, and 33 a second.) What failed slowly isn't asked for again: somebody waits.
 */

/** The answer to a question about the whole log. Throws StoreUnavailableError where none comes. */
async function answered<Answer extends object>(ask: () => Promise<Answer | Unanswered>): Promise<Exclude<Answer, Unanswered>> {
  const deadline = performance.now() + AGAIN_FOR;
  for (;;) {
    const answer = await ask();
    if (!('why' in answer)) return answer as Exclude<Answer, Unanswered>;
    if (performance.now() >= deadline) throw new StoreUnavailableError(`the log can't be read: ${answer.why}`);
    await delay(AGAIN_AFTER);
  }
}

type Unanswered = { readonly why: string };

/** Ranges in questions that are answered in time: a client that takes too long for one counts as silent. */
function questionsOf(ranges: readonly Range[]): readonly (readonly Range[])[] {
  const questions: Range[][] = [];
  let events = EVENTS_TOGETHER;
  for (const range of ranges) {
    if (events + range.count > EVENTS_TOGETHER) {
      questions.push([]);
      events = 0;
    }
    questions.at(-1)?.push(range);
    events += range.count;
  }
  return questions;
}

/** Reads from streams; once more those whose reading failed at once. */
async function patiently(
  ranges: readonly Range[],
  read: (ranges: readonly Range[]) => Promise<readonly Read[]>,
): Promise<readonly Read[]> {
  if (ranges.length === 0) return [];
  let results = await read(ranges);
  const deadline = performance.now() + AGAIN_FOR;
  while (results.some(hasFailed) && performance.now() < deadline) {
    await delay(AGAIN_AFTER);
    const before = results;
    const failed = ranges.filter((_, place) => hasFailed(before[place]));
    const again = await read(failed);
    let next = 0;
    results = results.map((result) => (hasFailed(result) ? (again[next++] ?? result) : result));
  }
  return results;
}

/** Whether asking again may help. */
function hasFailed(result: Read | undefined): boolean {
  return result !== undefined && 'why' in result && result.gone !== true;
}

function unreadable(stream: string, result: { readonly why: string; readonly gone?: true } | undefined): StoreUnavailableError {
  const why = `${stream} can't be read: ${result?.why}`;
  return result?.gone === true ? new StreamGoneError(why) : new StoreUnavailableError(why);
}

/** Whether it is an event: what the server writes where it deletes a stream has a revision that is no number. */
export function isEvent({ revision }: { readonly revision: number }): boolean {
  return Number.isSafeInteger(revision);
}

function toStored({ revision, id, type, data, metadata, hash }: RecordedEvent, stream: string): StoredEvent {
  return { stream, revision, id, type, data, metadata, hash: Buffer.from(hash, 'base64url') };
}
