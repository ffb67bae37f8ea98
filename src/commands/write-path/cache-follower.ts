import type { StoredEvent } from '../../events/event-types.ts';
import { pause } from '../../events/pause.ts';
import type { Advance, Store } from '../../events/store.ts';

/*
 * Keeps the states in a process' cache fresh while others write the same streams.
 *
 *   asleep ── some conflicts within a while ──▶ following the log from its end ── nothing foreign for a while ──▶ asleep
 *
 * Nothing rests on it: an answer is confirmed at the stream's head by its append, and whoever decides on an old state
 * meets a conflict. Following only makes conflicts rare, and costs a look at the log now and then; where conflicts are
 * rare already (one process, or each with users of its own) it would cost more than it saves. So it is conflicts that
 * wake it, and their absence lets it sleep: docs/decisions/0016.
 */

/** So many conflicts within so many ms wake the follower. */
const CONFLICTS = 3;
const CONFLICTS_WITHIN = 10_000;
/** In ms: it sleeps again when for so long nobody else wrote to a stream that is at hand here. */
const QUIET_AFTER = 10_000;
/** In ms: between looks at the log, so that a busy log is read in few large pages. This is how old a state gets. */
const REST = 20;
/** Advances that one look brings. Where there are as many as that it is behind, and goes on without reading states' events. */
const LOOK_TOGETHER = 2_000;
/** Events read in one go, and in one look. What lies beyond is left to conflicts. An event is 256 KiB at the most. */
const READ_TOGETHER = 200;
const READ_AT_MOST = 1_000;
/** A state that is further behind than this is not brought up: it has not been used for long. */
const FAR_BEHIND = 100;

/** States that may be brought forward while nothing is decided on them. */
export type FollowedStates = {
  /** The revision of a stream's state; undefined where none is at hand, or something is decided on it now. */
  idleRevision(stream: string): number | undefined;
  /** Brings a stream's idle state forward by those of its events that are news; returns how many. Drops it where it can't. */
  bring(stream: string, events: readonly StoredEvent[]): number;
  /** Drops a stream's idle state. */
  forgetIdle(stream: string): void;
};

export type CacheFollowerParts = {
  readonly store: Pick<Store, 'lastPosition' | 'subscribe' | 'readStreams'>;
  readonly states: FollowedStates;
  /** In ms; see above. */
  readonly quietAfter?: number;
};

/** Told what ended the following. It begins again where there are conflicts again. */
export type OnLost = (error: unknown) => void;

type Range = { readonly stream: string; readonly from: number; readonly to: number };

/** Whoever makes it closes it. Until it is started it counts conflicts, and does nothing about them. */
export class CacheFollower {
  readonly #parts: CacheFollowerParts;
  /** When the last conflicts were met, in ms. */
  readonly #conflicts: number[] = [];
  #following: { readonly stop: AbortController; readonly quiet: NodeJS.Timeout; readonly ended: Promise<void> } | undefined;
  #onLost: OnLost | undefined;
  #met = 0;
  #brought = 0;
  #isLive = false;

  constructor(parts: CacheFollowerParts) {
    this.#parts = parts;
  }

  /** How many conflicts there were so far: states that were found to be old when they were decided on. */
  get conflicts(): number {
    return this.#met;
  }

  /** How many events of others were brought into states so far. */
  get brought(): number {
    return this.#brought;
  }

  /** Whether the log is followed now. */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** From now on follows the log as long as there are conflicts without it. */
  start(onLost: OnLost): void {
    this.#onLost = onLost;
  }

  /** Says that a state was found to be old when it was decided on. */
  metConflict(): void {
    this.#met += 1;
    if (this.#onLost === undefined) return;
    if (this.#following !== undefined) {
      this.#following.quiet.refresh();
      return;
    }
    const now = performance.now();
    this.#conflicts.push(now);
    if (this.#conflicts.length < CONFLICTS) return;
    const first = this.#conflicts.shift() ?? 0;
    if (now - first > CONFLICTS_WITHIN) return;
    this.#conflicts.length = 0;
    this.#begin(this.#onLost);
  }

  /** Follows no more, and waits for what is under way. */
  async close(): Promise<void> {
    this.#onLost = undefined;
    this.#following?.stop.abort();
    await this.#following?.ended;
  }

  #begin(onLost: OnLost): void {
    const stop = new AbortController();
    const quiet = setTimeout(() => stop.abort(), this.#parts.quietAfter ?? QUIET_AFTER).unref();
    const ended = this.#follow(stop.signal)
      .catch((error: unknown) => onLost(error))
      .finally(() => {
        clearTimeout(quiet);
        this.#isLive = false;
        this.#following = undefined;
      });
    this.#following = { stop, quiet, ended };
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { store } = this.#parts;
    const after = await store.lastPosition();
    this.#isLive = true;
    for await (const advances of store.subscribe({ after, limit: LOOK_TOGETHER, signal })) {
      const old = this.#oldOnes(advances);
      if (old.length > 0) this.#following?.quiet.refresh();
      if (advances.length < LOOK_TOGETHER) {
        await this.#bringUp(old, signal);
        await pause(REST, signal);
      }
    }
  }

  /** What the states at hand lack of these advances. Own events are none of it: their state is as new already. */
  #oldOnes(advances: readonly Advance[]): readonly Range[] {
    const heads = new Map<string, Range>();
    for (const { stream, revision } of advances) {
      const known = this.#parts.states.idleRevision(stream);
      if (known !== undefined && known < revision) heads.set(stream, { stream, from: known + 1, to: revision });
    }
    return [...heads.values()];
  }

  async #bringUp(old: readonly Range[], signal: AbortSignal): Promise<void> {
    for (const ranges of inPortions(old)) {
      if (signal.aborted) return;
      let events: readonly StoredEvent[];
      try {
        events = await this.#parts.store.readStreams(ranges);
      } catch {
        for (const { stream } of ranges) this.#parts.states.forgetIdle(stream);
        return;
      }
      for (const [stream, own] of byStream(events)) this.#brought += this.#parts.states.bring(stream, own);
    }
  }
}

/** Ranges to read together, as far as they are worth it. */
function inPortions(ranges: readonly Range[]): readonly (readonly Range[])[] {
  const portions: Range[][] = [];
  let total = 0;
  let room = 0;
  for (const range of ranges) {
    const events = range.to - range.from + 1;
    if (events > FAR_BEHIND) continue;
    total += events;
    if (total > READ_AT_MOST) break;
    room -= events;
    if (room < 0) {
      portions.push([]);
      room = READ_TOGETHER - events;
    }
    portions.at(-1)?.push(range);
  }
  return portions;
}

function byStream(events: readonly StoredEvent[]): ReadonlyMap<string, readonly StoredEvent[]> {
  const streams = new Map<string, StoredEvent[]>();
  for (const event of events) {
    const own = streams.get(event.stream);
    if (own === undefined) streams.set(event.stream, [event]);
    else own.push(event);
  }
  return streams;
}
