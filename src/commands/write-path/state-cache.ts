import { LRUCache } from 'lru-cache';
import { type LedgerEvent, type Recorded, readEvent, type StoredEvent } from '../../events/event-types.ts';
import type { Snapshots } from '../../events/postgres/snapshots.ts';
import type { Decider } from '../decider.ts';
import type { FollowedStates } from './cache-follower.ts';
import type { Loaded } from './gather-loads.ts';
import { SnapshotWriter } from './snapshot-writer.ts';
import { advance, type StreamState } from './stream-state.ts';

export type StateCacheParts<State, Event extends LedgerEvent> = {
  readonly decider: Pick<Decider<State, never, Event>, 'evolve' | 'weigh'>;
  readonly snapshots: Snapshots;
  /** How much the states may weigh, in units of an empty state. */
  readonly capacity: number;
  /** Whether commands of a stream are being decided: their batch alone may change its state then. */
  readonly isBusy: (stream: string) => boolean;
};

/** The durable states that a process has at hand, the least used forgotten first, and the snapshots made of them. */
export class StateCache<State, Event extends LedgerEvent> implements FollowedStates {
  readonly #parts: StateCacheParts<State, Event>;
  readonly #states: LRUCache<string, StreamState<State>>;
  readonly #snapshots: SnapshotWriter<State>;

  constructor(parts: StateCacheParts<State, Event>) {
    const { decider, snapshots, capacity } = parts;
    this.#parts = parts;
    this.#states = new LRUCache({ maxSize: capacity, sizeCalculation: ({ state }) => decider.weigh(state) });
    this.#snapshots = new SnapshotWriter(snapshots, capacity);
  }

  get(stream: string): StreamState<State> | undefined {
    return this.#states.get(stream);
  }

  /** Keeps a durable state, and has a snapshot made of it where it is time for one. */
  keep(stream: string, state: StreamState<State>): void {
    this.#states.set(stream, state);
    this.#snapshots.offer(stream, state);
  }

  /** Keeps a state as it was loaded. */
  keepLoaded(stream: string, { state, snapshotAt }: Loaded<State>): void {
    if (snapshotAt !== undefined) this.#snapshots.found(stream, snapshotAt);
    this.keep(stream, state);
  }

  forget(stream: string): void {
    this.#states.delete(stream);
  }

  idleRevision(stream: string): number | undefined {
    const state = this.#states.peek(stream);
    return state === undefined || this.#parts.isBusy(stream) ? undefined : state.revision;
  }

  bring(stream: string, events: readonly StoredEvent[]): number {
    const state = this.#states.peek(stream);
    // What was idle when the events were asked for may be decided on by now, on facts that go with its state.
    if (state === undefined || this.#parts.isBusy(stream)) return 0;
    const later = events.filter(({ revision }) => revision > state.revision);
    try {
      const end = later.reduce((at, event) => advance(this.#parts.decider, at, readEvent(event) as Recorded<Event>), state);
      // No snapshot is offered: who wrote the events makes it.
      if (later.length > 0) this.#states.set(stream, end);
      return later.length;
    } catch {
      // Read from the log by the next command, which is told what is wrong with it.
      this.#states.delete(stream);
      return 0;
    }
  }

  forgetIdle(stream: string): void {
    if (!this.#parts.isBusy(stream)) this.#states.delete(stream);
  }

  /** Waits for snapshots on their way. */
  async close(): Promise<void> {
    await this.#snapshots.close();
  }
}
