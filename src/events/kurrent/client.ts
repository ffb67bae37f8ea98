import {
  type AllStreamRecordedEvent,
  AccessDeniedError,
  EventStoreDBClient,
  InvalidArgumentError,
  type JSONType,
  MaxAppendSizeExceededError,
  NotLeaderError,
  type Position as WirePosition,
  type RecordedEvent as ClientEvent,
  StreamDeletedError,
  StreamNotFoundError,
  streamNameFilter,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import { StreamsService } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import { canonicalJson, type Json } from '../canonical.ts';
import type { Position } from '../store.ts';
import { RecentEvents } from './recent-events.ts';
import type { AllRange, Range, RecordedEvent, Sighting, WireBatch, WireEvent, Written } from './protocol.ts';

/*
 * The one file that knows the client's package. What of its behaviour is relied on, and what is not:
 *
 * - It never gives up on a silent server: every call here has a time of its own, and who asks replaces the client.
 * - Events are JSON on the server. The client parses them on the way back; canonical JSON is made of them again, which
 *   is what was hashed. `$` fields and the hash stand in the metadata there, and are no part of what was hashed.
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

export type Client = ReturnType<typeof connect>;

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
    return { kind: error instanceof SilentError ? 'silent' : 'maybe', why };
  }
}

/** An event for the server. Its tools show `$correlationId` and `$causationId`. */
function toServer({ id, type, data, metadata, hash }: WireEvent) {
  const { correlationId, causationId } = JSON.parse(metadata) as { correlationId?: string; causationId?: string | null };
  const more = canonicalJson({
    ...(typeof causationId === 'string' && { $causationId: causationId }),
    ...(typeof correlationId === 'string' && { $correlationId: correlationId }),
    hash,
  });
  // The client takes bytes as they are only from this very class.
  const bytes = new TextEncoder().encode(`${more.slice(0, -1)},${metadata.slice(1)}`);
  return { id, type, contentType: 'application/json' as const, data: JSON.parse(data) as JSONType, metadata: bytes };
}

async function readStreams(
  { client, recent }: Clients,
  ranges: readonly Range[],
): Promise<readonly ({ events: readonly RecordedEvent[] } | { why: string })[]> {
  const results: ({ events: readonly RecordedEvent[] } | { why: string })[] = [];
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
        (error: unknown) => (error instanceof StreamNotFoundError ? { events: [] } : { why: whyOf(error) }),
      );
    }
  };
  await Promise.all(Array.from({ length: Math.min(READS_AT_ONCE, ranges.length) }, readOn));
  return results;
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

/** An event of the whole log. The server's own are told by their names; what they say doesn't concern us. */
function fromAll(event: AllStreamRecordedEvent): RecordedEvent {
  const position = toPosition(event.position);
  if (!event.streamId.startsWith('$')) return fromServer(event, position);
  const { streamId, revision, id, type } = event;
  return { stream: streamId, revision: Number(revision), id, type, data: '', metadata: '', hash: '', position };
}

/** An event as it was hashed. One that can't be read keeps its place: whoever needs it is told so. */
function fromServer(event: ClientEvent, position: Position | null): RecordedEvent {
  const { streamId, revision, id, type, isJson, data, metadata } = event;
  const { hash, ...noted } = isObject(metadata) ? metadata : {};
  const hashed = Object.entries(noted).filter(([name]) => !name.startsWith('$'));
  return {
    stream: streamId,
    revision: Number(revision),
    id,
    type,
    data: isJson && isObject(data) ? canonicalJson(data as Json) : textOf(data),
    metadata: canonicalJson(Object.fromEntries(hashed) as Json),
    hash: typeof hash === 'string' ? hash : '',
    position,
  };
}

function isObject(value: unknown): value is { readonly [member: string]: unknown } {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
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

function toPosition({ commit, prepare }: WirePosition): Position {
  return commit === prepare ? String(commit) : `${commit}/${prepare}`;
}

function toWirePosition(position: Position): WirePosition {
  const [commit = '0', prepare = commit] = position.split('/');
  return { commit: BigInt(commit), prepare: BigInt(prepare) };
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

/** What is no JSON object is no event's data: it is kept as text, for whoever says that it can't be read. */
function textOf(data: unknown): string {
  if (typeof data === 'string') return data;
  return data instanceof Uint8Array ? Buffer.from(data).toString('utf8') : JSON.stringify(data);
}

/** What an error says, for a log. Some of the client's errors have a type and no message. */
export function whyOf(error: unknown): string {
  const { type, message, code } = error as { type?: string; message?: string; code?: string | number };
  const said = [type, message, code === undefined ? undefined : `code ${code}`];
  return said.filter((one) => one !== undefined && one !== '').join(': ') || String(error);
}
