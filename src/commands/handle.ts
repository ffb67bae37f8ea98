import { setTimeout as delay } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../events/clock.ts';
import { type LedgerEvent, type Recorded, readEvent, type StoredEvent, UnreadableEventError } from '../events/event-types.ts';
import type { Snapshots } from '../events/postgres/snapshots.ts';
import type { StreamLocks } from '../events/postgres/stream-locks.ts';
import type { RequestHashes } from '../events/request-hash.ts';
import { type BatchResult, OutcomeUnknownError, type Store, StoreUnavailableError } from '../events/store.ts';
import type { Decider } from './decider.ts';
import { CacheFollower } from './write-path/cache-follower.ts';
import { decideBatch } from './write-path/decide-batch.ts';
import { type Envelope, OverloadedError, type Outcome } from './write-path/envelope.ts';
import type { GroupCommitter } from './write-path/group-committer.ts';
import type { Loader } from './write-path/gather-loads.ts';
import { createLoader } from './write-path/load-streams.ts';
import { StateCache } from './write-path/state-cache.ts';
import { type Pending, pendingOf, StreamBatch } from './write-path/stream-batch.ts';
import { advance, type StreamState } from './write-path/stream-state.ts';

/*
 * The write path. One mailbox a stream, one batch in flight a stream:
 *
 *   waiting ─▶ state (cache | snapshot + tail) ─▶ facts that the state doesn't hold ─▶ decide, all that waits
 *      ▲                                                                                  │
 *      │         conflict: learn what the store brought back, decide the same again ◀─────┤ append, in a group
 *      │         outcome unknown: forget the state, read the stream, decide again ◀───────┤
 *      └──────── next batch ◀─ answers leave, state is kept ◀─ durable ◀──────────────────┘
 *
 * An answer of any kind leaves only when the append (or, where nothing is written, the check of the head) has
 * returned: it rests on a durable state that was the head after its command came.
 */

/** Commands that wait in this process, and for one stream, at the most. Beyond that they are refused at once. */
const MAX_WAITING = 10_000;
const MAX_WAITING_STREAM = 2_000;
/** And how many bytes their requests took. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** How often a batch is decided again after a conflict, and for how long after a lost connection, in ms. */
const MAX_ATTEMPTS = 20;
const DOUBT_LASTS = 5_000;
/** From this conflict on a batch waits for its turn, and so do the stream's next ones for a while, in ms. */
const CONTENDED_FROM = 2;
const CONTENDED_FOR = 1_000;
const REFRESH = 1_000;
/** A refund names its consumption, which names its grants: two rounds, and one to see that nothing is left. */
const MAX_FACT_ROUNDS = 3;

type WantedFacts = { readonly claims: readonly string[]; readonly revisions: readonly number[] };

export type HandlerParts = {
  readonly store: Store;
  readonly committer: GroupCommitter;
  readonly snapshots: Snapshots;
  readonly locks: StreamLocks;
  readonly clock: Clock;
  readonly hashes: RequestHashes;
  /** How much the cache of states may weigh, in units of an empty state. */
  readonly capacity: number;
};

/** Runs the commands of one kind of stream. */
export class CommandHandler<State, Command, Event extends LedgerEvent> {
  /** Keeps states fresh that other processes write too, from when it is told to. */
  readonly follower: CacheFollower;
  readonly #decider: Decider<State, Command, Event>;
  readonly #parts: HandlerParts;
  readonly #states: StateCache<State, Event>;
  readonly #load: Loader<State>;
  readonly #mailboxes = new Map<string, Pending<State, Command, Event>[]>();
  readonly #contended = new LRUCache<string, true>({ max: 1_000, ttl: CONTENDED_FOR });
  /** Told when no command waits any more. */
  #lastEmptied: (() => void) | undefined;
  #waiting = 0;
  #waitingBytes = 0;
  #closing = false;

  constructor(decider: Decider<State, Command, Event>, parts: HandlerParts) {
    this.#decider = decider;
    this.#parts = parts;
    const { snapshots, capacity } = parts;
    this.#states = new StateCache({ decider, snapshots, capacity, isBusy: (stream) => this.#mailboxes.has(stream) });
    this.follower = new CacheFollower({ store: parts.store, states: this.#states });
    this.#load = createLoader(decider, parts);
  }

  /** How many commands wait for their answer. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Runs a command and answers when the answer is durable. Rejects with OverloadedError or ClockSkewError (nothing was
   * written), UnreadableEventError (this process is too old for the stream), or StoreUnavailableError (the same key is
   * safe to repeat); any other error is a bug.
   */
  execute(envelope: Envelope<Command>): Promise<Outcome<State, Event>> {
    const mailbox = this.#mailboxes.get(envelope.stream);
    const { bytes = 0 } = envelope;
    const isFull = this.#waiting >= MAX_WAITING || this.#waitingBytes + bytes > MAX_WAITING_BYTES;
    if (this.#closing || isFull || (mailbox?.length ?? 0) >= MAX_WAITING_STREAM) {
      return Promise.reject(new OverloadedError(this.#closing ? 'the process is stopping' : 'too many commands wait'));
    }
    this.#waiting += 1;
    this.#waitingBytes += bytes;
    return new Promise<Outcome<State, Event>>((resolve, reject) => {
      const pending = pendingOf<State, Command, Event>(
        envelope,
        (outcome) => {
          this.#noteAnswered(bytes);
          resolve(outcome);
        },
        (error) => {
          this.#noteAnswered(bytes);
          reject(error);
        },
      );
      if (mailbox !== undefined) mailbox.push(pending);
      else void this.#run(envelope.stream, [pending]);
    });
  }

  #noteAnswered(bytes: number): void {
    this.#waiting -= 1;
    this.#waitingBytes -= bytes;
  }

  /** Takes no more commands, finishes those it has, and waits for snapshots on their way. */
  async close(): Promise<void> {
    this.#closing = true;
    if (this.#mailboxes.size > 0) await new Promise<void>((resolve) => (this.#lastEmptied = resolve));
    await Promise.all([this.follower.close(), this.#states.close()]);
  }

  /** Works off a stream's mailbox, one batch after the other. Never rejects: every command gets its own answer. */
  async #run(stream: string, mailbox: Pending<State, Command, Event>[]): Promise<void> {
    this.#mailboxes.set(stream, mailbox);
    while (mailbox.length > 0) {
      const batch = new StreamBatch<State, Command, Event>(mailbox);
      let release: (() => void) | undefined;
      try {
        if (this.#contended.has(stream)) release = await this.#takeTurn(stream, batch);
        await this.#finish(stream, batch, async () => {
          release ??= await this.#takeTurn(stream, batch);
        });
      } catch (error) {
        batch.fail(error);
      } finally {
        release?.();
      }
    }
    this.#mailboxes.delete(stream);
    if (this.#mailboxes.size === 0) this.#lastEmptied?.();
  }

  /** Decides and appends a batch until it is durable. Throws what its commands are to be refused with. */
  async #finish(stream: string, batch: StreamBatch<State, Command, Event>, takeTurn: () => Promise<void>): Promise<void> {
    let doubtfulSince: number | undefined;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      let base: StreamState<State> | undefined;
      try {
        base = this.#states.get(stream);
        // What was read as a fact belongs to the state it was read after: with that gone it is read again.
        if (base === undefined) batch.known.forgetStandings();
        base ??= await this.#loadState(stream);
        await this.#readWanted(stream, batch, base.state, doubtfulSince !== undefined);
        const result = await this.#propose(stream, batch, base);
        if (result.accepted) {
          this.#states.keep(stream, batch.decided.end);
          batch.answer();
          return;
        }
        this.#learn(stream, batch, base, result);
        if (result.contended || attempt >= CONTENDED_FROM) {
          this.#contended.set(stream, true);
          await takeTurn();
        }
      } catch (error) {
        this.#states.forget(stream);
        if (batch.halve(error)) continue;
        // Before anything was sent there is nothing to find out: refused at once.
        if (!(error instanceof OutcomeUnknownError) && doubtfulSince === undefined) throw error;
        if (!(error instanceof OutcomeUnknownError) && !(error instanceof StoreUnavailableError)) throw error;
        if (error instanceof OutcomeUnknownError) batch.doubt();
        doubtfulSince ??= Date.now();
        if (Date.now() - doubtfulSince > DOUBT_LASTS)
          throw new StoreUnavailableError('the outcome is not known', { cause: error });
        await delay(Math.min(25 * 2 ** attempt, 500));
      }
    }
    throw new StoreUnavailableError(`${stream} is written by too many at once`);
  }

  async #loadState(stream: string): Promise<StreamState<State>> {
    const loaded = await this.#load(stream).catch((error: unknown) => {
      if (error instanceof UnreadableEventError || error instanceof StoreUnavailableError) throw error;
      throw new StoreUnavailableError(`${stream} can't be loaded`, { cause: error });
    });
    this.#states.keepLoaded(stream, loaded);
    return loaded.state;
  }

  /** Reads what the batch's commands need and the state no longer holds, and what that names in turn. */
  async #readWanted(stream: string, batch: StreamBatch<State, Command, Event>, state: State, doubtful: boolean): Promise<void> {
    for (let round = 0; round < MAX_FACT_ROUNDS; round += 1) {
      const wanted = this.#wantedFacts(batch, state, doubtful && round === 0);
      if (wanted === undefined) return;
      await this.#readFacts(stream, batch, wanted);
    }
  }

  /** What the batch's commands name and the state no longer holds; after a doubt, also their own claims. */
  #wantedFacts(batch: StreamBatch<State, Command, Event>, state: State, doubtful: boolean): WantedFacts | undefined {
    const revisions = new Set<number>();
    const claims: string[] = [];
    for (const { command, key } of batch.candidates()) {
      const unread = batch.known.unread(this.#decider.missingFacts(command, state, batch.known));
      for (const revision of unread) revisions.add(revision);
      // Who names something settled is likely to repeat a key: both are read in one go.
      if (key !== null && (doubtful || (unread.length > 0 && batch.known.isUnread(key.claim)))) claims.push(key.claim);
    }
    return claims.length === 0 && revisions.size === 0 ? undefined : { claims, revisions: [...revisions] };
  }

  async #readFacts(stream: string, { known }: StreamBatch<State, Command, Event>, wanted: WantedFacts): Promise<void> {
    const { store } = this.#parts;
    const { claims, revisions } = wanted;
    const [claimed, standings] = await Promise.all([store.findClaims(stream, claims), store.lastAbout(stream, revisions)]);
    known.addClaims(claimed, claims);
    known.addStandings(revisions, standings);
  }

  /** Decides at the last moment, when the group is made, so that what came meanwhile is in it. */
  #propose(stream: string, batch: StreamBatch<State, Command, Event>, base: StreamState<State>): Promise<BatchResult> {
    return this.#parts.committer.append(() => {
      batch.take(({ command }) => batch.known.unread(this.#decider.missingFacts(command, base.state, batch.known)).length === 0);
      const { hashes, clock } = this.#parts;
      const decided = decideBatch(this.#decider, base, batch.known, batch.envelopes, { hashes, now: clock.now() });
      batch.propose(decided);
      const { events, fresh, unclaimed, bytes } = decided;
      return { batch: { stream, expectedRevision: base.revision, events, fresh, unclaimed, hasTurn: batch.hasTurn }, bytes };
    });
  }

  /** Brings state and facts up to what a conflict showed. */
  #learn(
    stream: string,
    batch: StreamBatch<State, Command, Event>,
    base: StreamState<State>,
    conflict: Extract<BatchResult, { accepted: false }>,
  ): void {
    batch.known.addClaims(conflict.claimed);
    // Nothing new, and yet refused: what is at hand is not what is stored.
    if (conflict.missing.length === 0 && conflict.claimed.size === 0 && !conflict.contended) this.#states.forget(stream);
    else this.#catchUp(stream, batch, base, conflict.missing);
  }

  #catchUp(
    stream: string,
    batch: StreamBatch<State, Command, Event>,
    base: StreamState<State>,
    missing: readonly StoredEvent[],
  ): void {
    if (missing.length > 0) this.follower.metConflict();
    let state = base;
    for (const stored of missing) {
      const event = readEvent(stored) as Recorded<Event>;
      state = advance(this.#decider, state, event);
      batch.known.note(event);
    }
    this.#states.keep(stream, state);
  }

  /** Waits for the stream's turn and reads what the others wrote meanwhile. */
  async #takeTurn(stream: string, batch: StreamBatch<State, Command, Event>): Promise<(() => void) | undefined> {
    const release = await this.#parts.locks.acquire(stream);
    // Who waited in vain goes on without it: whoever has it may be gone, and the expected revision keeps the log right.
    batch.hasTurn = true;
    try {
      const base = this.#states.get(stream);
      if (base !== undefined) {
        const missing = await this.#parts.store.readStream(stream, { from: base.revision + 1, limit: REFRESH });
        this.#catchUp(stream, batch, base, missing);
        // As long as others write in between, each batch waits for its turn; without them the turns end by themselves.
        if (missing.length > 0) this.#contended.set(stream, true);
      }
      return release;
    } catch (error) {
      release?.();
      throw error;
    }
  }
}
