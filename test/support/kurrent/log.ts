import { randomUUID } from 'node:crypto';
import {
  DELETED_REVISION,
  type Expected,
  FIRST_POSITION,
  type LoggedEvent,
  type PlainEvent,
  type ProposedEvent,
  proposed,
  sizeOf,
} from './records.ts';

/*
 * The log of the double, which outlives restarts and which the nodes of a cluster share. What is written, what counts for
 * a repetition and what a conflict says follows what EventStoreDB 23.10 answers; `double-*.test.ts` hold both to it.
 */

/** `current` is the stream's last revision, -1 where it has none. */
export type AppendOutcome =
  | { readonly kind: 'done'; readonly revision: bigint; readonly position: bigint }
  | { readonly kind: 'conflict'; readonly current: bigint }
  | { readonly kind: 'deleted' };

type StreamState = {
  readonly events: LoggedEvent[];
  /** The first revision that can be read. */
  from: number;
  softDeleted: boolean;
  tombstoned: boolean;
};

type Committed = (events: readonly LoggedEvent[]) => void;

export class KurrentLog {
  /** Every record in the order of the log, with the hidden ones. */
  readonly records: LoggedEvent[] = [];
  readonly #streams = new Map<string, StreamState>();
  readonly #listeners = new Set<Committed>();
  /** Where an id was first written, as far as the server still knows. */
  readonly #seenIds = new Map<string, LoggedEvent>();
  #end = FIRST_POSITION;

  constructor() {
    // A real server is never quite empty either.
    this.write('$$$scavenges', [{ type: '$metadata', data: { $maxAge: 2_592_000 } }]);
  }

  /** Where the next record will begin. */
  get end(): bigint {
    return this.#end;
  }

  /** What can be read of `$all`, the server's own events among it, in order. */
  get events(): readonly LoggedEvent[] {
    return this.records.filter((record) => !record.hidden);
  }

  /** The names of the streams that were ever written, without the server's own. */
  get streams(): readonly string[] {
    return [...this.#streams.keys()].filter((name) => !name.startsWith('$'));
  }

  /** All events of a stream, also after it was deleted; none where there is no such stream. */
  stream(name: string): readonly LoggedEvent[] {
    return this.#streams.get(name)?.events ?? [];
  }

  /** What a reader of the stream finds: whether it is there, and from which revision on. */
  standing(name: string): 'missing' | 'tombstoned' | { readonly from: number } {
    const state = this.#streams.get(name);
    if (state?.tombstoned === true) return 'tombstoned';
    if (state === undefined || state.softDeleted || state.events.length === 0) return 'missing';
    return { from: state.from };
  }

  /** Writes events without asking for anything, as another program would. Returns what was written. */
  write(stream: string, events: readonly PlainEvent[]): readonly LoggedEvent[] {
    return this.#commit(
      stream,
      events.map((event) => proposed(event)),
    );
  }

  /** Writes such events of the server itself as every `$all` has. */
  writeSystemEvents(count: number): void {
    for (let written = 0; written < count; written++) {
      this.write('$stats-127.0.0.1:2113', [{ type: '$statsCollected', data: { 'proc-mem': written } }]);
    }
  }

  /** Calls with what was written, at once and in order. Returns what ends it. */
  onCommit(listener: Committed): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** What a server forgets when it starts anew: ids that it would know again without being told where to look. */
  forgetIds(): void {
    this.#seenIds.clear();
  }

  /** How many records stand before a position; undefined where no record begins. Positions beyond the end stand behind all. */
  indexAt(position: bigint): number | undefined {
    if (position === 0n) return 0;
    if (position >= this.#end) return this.records.length;
    let [low, high] = [0, this.records.length - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const found = this.records[middle]?.position ?? 0n;
      if (found === position) return middle;
      if (found < position) low = middle + 1;
      else high = middle - 1;
    }
    return undefined;
  }

  append(stream: string, expected: Expected, events: readonly ProposedEvent[]): AppendOutcome {
    const state = this.#streams.get(stream);
    const current = lastRevision(state);
    const verdict = this.#check(stream, state, expected, events);
    if (verdict !== 'write') return verdict;
    if (events.length === 0) {
      const record = this.#record(stream, current, undefined);
      return { kind: 'done', revision: current, position: record.position };
    }
    const undeleted = state?.softDeleted === true;
    const written = this.#commit(stream, events);
    if (undeleted) this.write(`$$${stream}`, [{ type: '$metadata', data: `{"$tb":${current + 1n}}` }]);
    return outcomeAt(written.at(-1));
  }

  /** Deletes a stream so that it can be written again, or for ever. */
  delete(stream: string, expected: Expected, hard: boolean): AppendOutcome {
    const state = this.#streams.get(stream);
    const verdict = this.#check(stream, state, expected, [proposed({ type: '$deletion' })]);
    if (verdict !== 'write') return verdict;
    if (hard) {
      const [tombstone] = this.#commit(stream, [proposed({ type: '$streamDeleted' })], DELETED_REVISION);
      return outcomeAt(tombstone);
    }
    if (state === undefined || state.events.length === 0) return { kind: 'conflict', current: -1n };
    state.softDeleted = true;
    return outcomeAt(this.write(`$$${stream}`, [{ type: '$metadata', data: `{"$tb":${DELETED_REVISION}}` }]).at(-1));
  }

  /** Whether to write, or what to answer without. */
  #check(
    stream: string,
    state: StreamState | undefined,
    expected: Expected,
    events: readonly ProposedEvent[],
  ): AppendOutcome | 'write' {
    const current = lastRevision(state);
    const conflict: AppendOutcome = { kind: 'conflict', current };
    if (state?.tombstoned === true) return { kind: 'deleted' };
    if (expected === 'stream_exists') {
      if (state?.softDeleted === true) return { kind: 'deleted' };
      if (current < 0n) return conflict;
    }
    if (expected === 'any' || expected === 'stream_exists') return this.#repetition(stream, events) ?? conflict;
    const revision = expected === 'no_stream' ? -1n : expected;
    if (revision > current) return conflict;
    if (revision === current) return 'write';
    const found = events.map((event, nth) => {
      const stored = state?.events[Number(revision) + 1 + nth];
      return stored?.id === event.id ? stored : undefined;
    });
    if (found.length > 0 && !found.includes(undefined)) return outcomeAt(found.at(-1));
    return found[0] === undefined && found.length > 0 && revision === -1n && state?.softDeleted === true ? 'write' : conflict;
  }

  /** Where any revision is welcome, ids alone tell a repetition; undefined is a mixture of old and new. */
  #repetition(stream: string, events: readonly ProposedEvent[]): AppendOutcome | 'write' | undefined {
    const found = events
      .map((event) => this.#seenIds.get(event.id))
      .map((event) => (event?.stream === stream ? event : undefined));
    if (found[0] === undefined) return 'write';
    return found.includes(undefined) ? undefined : outcomeAt(found.at(-1));
  }

  #commit(stream: string, events: readonly ProposedEvent[], revision?: bigint): readonly LoggedEvent[] {
    const state = this.#streams.get(stream) ?? { events: [], from: 0, softDeleted: false, tombstoned: false };
    this.#streams.set(stream, state);
    const written: LoggedEvent[] = [];
    for (const event of events) {
      const record = this.#record(stream, revision ?? BigInt(state.events.length), event);
      if (revision === undefined) state.events.push(record);
      if (!this.#seenIds.has(event.id)) this.#seenIds.set(event.id, record);
      written.push(record);
    }
    if (revision !== undefined) state.tombstoned = true;
    else if (state.softDeleted) {
      state.from = state.events.length - written.length;
      state.softDeleted = false;
    }
    for (const listener of this.#listeners) listener(written);
    return written;
  }

  #record(stream: string, revision: bigint, event: ProposedEvent | undefined): LoggedEvent {
    const position = this.#end;
    this.#end += sizeOf(stream, event);
    const content = event ?? { id: randomUUID(), type: '', isJson: false, data: new Uint8Array(), metadata: new Uint8Array() };
    const record: LoggedEvent = {
      id: content.id,
      type: content.type,
      isJson: content.isJson,
      data: content.data,
      metadata: content.metadata,
      stream,
      revision,
      created: new Date(),
      position,
      end: this.#end,
      index: this.records.length,
      hidden: event === undefined,
    };
    this.records.push(record);
    return record;
  }
}

function lastRevision(state: StreamState | undefined): bigint {
  return BigInt(state?.events.length ?? 0) - 1n;
}

function outcomeAt(event: LoggedEvent | undefined): AppendOutcome {
  if (event === undefined) throw new Error('Nothing was written.');
  return { kind: 'done', revision: event.revision, position: event.position };
}
