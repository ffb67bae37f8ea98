import {
  AccessDeniedError,
  type AllStreamRecordedEvent,
  EventStoreDBClient,
  InvalidArgumentError,
  MaxAppendSizeExceededError,
  NotLeaderError,
  type RecordedEvent as ClientEvent,
  StreamDeletedError,
  StreamNotFoundError,
  streamNameFilter,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import { StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type { Position } from '../store.ts';
import { fromAll, fromServer, toPosition, toServer, toWirePosition } from './client-events.ts';
import { RecentEvents } from './recent-events.ts';
import type { AllRange, Range, Read, RecordedEvent, Search, Searched, Sighting, WireBatch, Written } from './protocol.ts';

/*
 * The one file that knows the client's package. What of its behaviour is relied on, and what is not:
 *
 * - It never gives up on a silent server: every call here has a time of its own, and who asks replaces the client.
 * - Appends of many streams share one connection and are answered as they are written.
 */

/** In ms: how long a call may take before it counts as silent. A server that is up answers within tenths of a second. */
export const CALL_WITHIN = 2_000;

/**
 * In ms. An append's deadline is a time of day, and the server's clock says whether it is over: so it only has to be
 * further away than clocks differ. The server has a shorter time of its own for each append.
 */
const CLOCKS_APART = 60_000;

/** Reads of streams at once in one answer. */
const READS_AT_ONCE = 16;

/** How many events the server goes through between two notes of how far it has come. */
const SEARCH_WINDOW = 32;
const WINDOWS_BETWEEN_NOTES = 100;
/** And in a search, whose end it waits for. */
const SEARCHED_TOGETHER = 1_000;
/** In ms: whoever asked is told then how far it has come, and asks on. */
const SEARCHES_FOR = 2_000;

/** A client of the server at an `esdb://` URL. Connects at the first call. */
export function connect(url: string) {
  const client = EventStoreDBClient.connectionString(url);
  const recent: Recent = new RecentEvents();
  return {
    /** The server's version, and whether it takes many appends on one connection. Throws what the client throws. */
    async check(): Promise<{ version: string; takesBatches: boolean }> {
      const capabilities = await within((client as unknown as WithCapabilities).capabilities);
      return { version: capabilities.serverVersion, takesBatches: capabilities.supports(StreamsService.batchAppend) };
    },
    append: (batch: WireBatch) => append(client, batch),
    readStreams: (ranges: readonly Range[]) => readStreams({ client, recent }, ranges),
    readAll: (range: AllRange) => readAll(client, range),
    search: (asked: Search) => search(client, asked),
    follow: (options: FollowOptions) => follow({ client, recent }, options),
  };
}

type Recent = RecentEvents<ClientEvent>;
type Clients = { readonly client: EventStoreDBClient; readonly recent: Recent };

/** What the client knows of its server, and shows to its own subclasses alone. */
type WithCapabilities = {
  readonly capabilities: Promise<{
    readonly serverVersion: string;
    supports(method: typeof StreamsService.batchAppend): boolean;
  }>;
};

/** Appends one stream's events behind its expected revision. Never throws. */
async function append(client: EventStoreDBClient, { stream, expectedRevision, events }: WireBatch): Promise<Written> {
  try {
    await within(
      client.appendToStream(stream, events.map(toServer), {
        expectedRevision: expectedRevision === -1 ? 'no_stream' : BigInt(expectedRevision),
        deadline: CLOCKS_APART,
      }),
    );
    return { kind: 'written' };
  } catch (error) {
    const why = whyOf(error);
    if (error instanceof WrongExpectedVersionError) {
      return { kind: 'conflict', head: error.actualVersion === 'no_stream' ? -1 : Number(error.actualVersion) };
    }
    if (error instanceof MaxAppendSizeExceededError || error instanceof InvalidArgumentError) return { kind: 'refused', why };
    if (error instanceof NotLeaderError || error instanceof AccessDeniedError || error instanceof StreamDeletedError) {
      return { kind: 'unavailable', why };
    }
    return { kind: 'maybe', why };
  }
}

async function readStreams({ client, recent }: Clients, ranges: readonly Range[]): Promise<readonly Read[]> {
  const results: Read[] = [];
  let next = 0;
  const readOn = async (): Promise<void> => {
    for (let index = next++; index < ranges.length; index = next++) {
      const range = ranges[index];
      if (range === undefined) return;
      const known = recent.read(range);
      if (known !== undefined) {
        results[index] = { events: known.map((event) => fromServer(event, null)) };
        continue;
      }
      results[index] = await readStream(client, range).then(
        (events) => ({ events }),
        (error: unknown) => failedRead(error),
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(READS_AT_ONCE, ranges.length) }, readOn));
  return results;
}

function failedRead(error: unknown): Read {
  if (error instanceof StreamNotFoundError) return { events: [] };
  const why = whyOf(error);
  return error instanceof StreamDeletedError ? { why, gone: true } : { why };
}

async function readStream(client: EventStoreDBClient, { stream, from, direction, count }: Range): Promise<RecordedEvent[]> {
  const reading = client.readStream(stream, {
    direction: direction === 'forward' ? 'forwards' : 'backwards',
    fromRevision: from === undefined ? (direction === 'forward' ? 'start' : 'end') : BigInt(from),
    maxCount: count,
    // The head is the leader's to tell.
    requiresLeader: true,
  });
  return collect(reading, ({ event }) => (event === undefined ? undefined : fromServer(event, null)));
}

async function readAll(client: EventStoreDBClient, { at, direction, count }: AllRange): Promise<RecordedEvent[]> {
  const reading = client.readAll({
    direction: direction === 'forward' ? 'forwards' : 'backwards',
    fromPosition: at === undefined ? (direction === 'forward' ? 'start' : 'end') : toWirePosition(at),
    maxCount: count,
    requiresLeader: true,
  });
  return collect(reading, ({ event }) => (event === undefined ? undefined : fromAll(event)));
}

/**
 * What stands in the log behind a position under some prefixes, at most so much: the server leaves out the rest, which a
 * read can't ask of it and a subscription can. It ends where the subscription has caught up.
 */
async function search(client: EventStoreDBClient, { after, prefixes, count }: Search): Promise<Searched> {
  const events: RecordedEvent[] = [];
  let upTo = after;
  let isEnd = false;
  let enough: NodeJS.Timeout | undefined;
  let silence: NodeJS.Timeout | undefined;
  const subscription = client.subscribeToAll({
    fromPosition: after === undefined ? 'start' : toWirePosition(after),
    filter: streamNameFilter({
      prefixes: [...prefixes],
      maxSearchWindow: SEARCHED_TOGETHER,
      checkpointInterval: 1,
      checkpointReached: async (_, position) => {
        // Behind the last event that is taken nothing counts any more.
        if (events.length < count) upTo = toPosition(position);
        silence?.refresh();
      },
    }),
    requiresLeader: true,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      silence = setTimeout(() => reject(new SilentError('the server does not answer')), CALL_WITHIN);
      // What was noted comes before what was pushed earlier, and is still on its way to us.
      const afterAll = () => void (subscription.readableLength > 0 ? setImmediate(afterAll) : resolve());
      enough = setTimeout(afterAll, SEARCHES_FOR);
      subscription.on('caughtUp', () => {
        isEnd = true;
        setImmediate(afterAll);
      });
      subscription.on('error', reject);
      subscription.on('close', () => reject(new Error('the server ended a search')));
      subscription.on('data', ({ event }: { readonly event?: AllStreamRecordedEvent }) => {
        silence?.refresh();
        if (event === undefined || events.length >= count) return;
        events.push(fromAll(event));
        upTo = toPosition(event.position);
        if (events.length >= count) resolve();
      });
    });
  } finally {
    clearTimeout(silence);
    clearTimeout(enough);
    subscription.on('error', () => undefined);
    void subscription.unsubscribe().catch(() => undefined);
  }
  return { events, upTo, isEnd };
}

export type FollowOptions = {
  /** Where to begin, that event left out; undefined: the beginning. */
  readonly after: Position | undefined;
  /** What the names of streams begin with. */
  readonly prefixes: readonly string[];
  readonly onSearched: (position: Position) => void;
};

/** Follows the whole log from behind a position. Iterating ends where the server ends it; `stop` ends it from here. */
function follow({ client, recent }: Clients, { after, prefixes, onSearched }: FollowOptions) {
  const subscription = client.subscribeToAll({
    fromPosition: after === undefined ? 'start' : toWirePosition(after),
    filter: streamNameFilter({
      prefixes: [...prefixes],
      maxSearchWindow: SEARCH_WINDOW,
      checkpointInterval: WINDOWS_BETWEEN_NOTES,
      checkpointReached: async (_, position) => onSearched(toPosition(position)),
    }),
    requiresLeader: true,
  });
  // Heard by whoever iterates; without a listener it would end the thread when nobody does any more.
  subscription.on('error', () => undefined);
  return {
    async *sightings(): AsyncGenerator<Sighting> {
      for await (const { event } of subscription) {
        if (event === undefined) continue;
        const { streamId, revision, id } = event;
        recent.note(streamId, Number(revision), event);
        yield {
          stream: streamId,
          revision: Number(revision),
          id,
          position: toPosition(event.position),
        };
      }
    },
    stop: () => void subscription.unsubscribe().catch(() => undefined),
  };
}

/** A call that was not answered in time. */
class SilentError extends Error {
  override readonly name = 'SilentError';
}

async function within<Value>(call: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new SilentError('the server does not answer')), CALL_WITHIN);
  });
  return Promise.race([call, silence]).finally(() => clearTimeout(timer));
}

/** All that a read brings. One that brings nothing for too long is ended. */
async function collect<Item, Value>(reading: ReadingOf<Item>, read: (item: Item) => Value | undefined): Promise<Value[]> {
  const values: Value[] = [];
  let late = false;
  const silence = setTimeout(() => {
    late = true;
    reading.destroy(new SilentError('the server does not answer'));
    void reading.cancel().catch(() => undefined);
  }, CALL_WITHIN);
  try {
    for await (const item of reading) {
      silence.refresh();
      const value = read(item);
      if (value !== undefined) values.push(value);
    }
  } finally {
    clearTimeout(silence);
  }
  if (late) throw new SilentError('the server does not answer');
  return values;
}

type ReadingOf<Item> = AsyncIterable<Item> & { destroy(error: Error): unknown; cancel(): Promise<void> };

/** What an error says, for a log. Some of the client's errors have a type and no message. */
export function whyOf(error: unknown): string {
  const { type, message, code } = error as { type?: string; message?: string; code?: string | number };
  const said = [type, message, code === undefined ? undefined : `code ${code}`];
  return said.filter((one) => one !== undefined && one !== '').join(': ') || String(error);
}
