import { LRUCache } from 'lru-cache';
import type { Snapshots } from '../../events/postgres/snapshots.ts';
import type { StreamState } from './stream-state.ts';

/** A stream that went this many events beyond its snapshot gets a new one. */
const EVERY = 100;
/** How many streams wait for their snapshot at the most; what comes beyond is made another time. */
const MAX_WAITING = 1_000;
const WRITE_TOGETHER = 100;
/** In ms: a hot stream gets one snapshot in this time, not one every hundred events. */
const WRITE_AFTER = 250;

/** Writes snapshots behind, from durable states. Losing one makes a load longer, and nothing else. */
export class SnapshotWriter<State> {
  readonly #snapshots: Snapshots;
  /** The revision of the newest snapshot known of, by stream. */
  readonly #written: LRUCache<string, number>;
  readonly #waiting = new Map<string, StreamState<State>>();
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(snapshots: Snapshots, streams: number) {
    this.#snapshots = snapshots;
    this.#written = new LRUCache({ max: streams });
  }

  /** Says that a snapshot stands at a revision. */
  found(stream: string, revision: number): void {
    this.#written.set(stream, revision);
  }

  /** Offers a durable state: written where the last snapshot lies far enough behind. */
  offer(stream: string, state: StreamState<State>): void {
    if (state.revision - (this.#written.get(stream) ?? -1) < EVERY) return;
    if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(stream)) return;
    this.#waiting.set(stream, state);
    this.#timer ??= setTimeout(() => this.#write(), WRITE_AFTER).unref();
  }

  /** Waits for the snapshots on their way. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
  }

  #write(): void {
    const batch = [...this.#waiting].slice(0, WRITE_TOGETHER);
    for (const [stream, { revision }] of batch) {
      this.#waiting.delete(stream);
      this.#written.set(stream, revision);
    }
    this.#writing = this.#snapshots
      .write(batch.map(([stream, { state, revision, hash }]) => ({ stream, revision, hash, state: JSON.stringify(state) })))
      .catch(() => undefined)
      .finally(() => {
        this.#timer = this.#waiting.size > 0 ? setTimeout(() => this.#write(), WRITE_AFTER).unref() : undefined;
      });
  }
}
