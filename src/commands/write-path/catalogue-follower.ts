import { CATALOGUE_STREAM, type CatalogueEvent } from '../../events/catalogue-events.ts';
import { type Recorded, readEvent } from '../../events/event-types.ts';
import type { Snapshots } from '../../events/postgres/snapshots.ts';
import { NO_STREAM, type Store, StoreUnavailableError } from '../../events/store.ts';
import { type Catalogue, initialCatalogue } from '../catalogue.ts';
import { catalogueDecider } from '../catalogue-decider.ts';
import { createLoader } from './load-streams.ts';
import { advance, type StreamState } from './stream-state.ts';

/** In ms: how often the log is looked at, and how old a look may be. */
const LOOK_EVERY = 250;
const GOOD_FOR = 1_000;
/** How many events one look brings at a time. */
const PAGE = 500;

export type FollowerParts = {
  readonly store: Pick<Store, 'readStream' | 'readStreams'>;
  readonly snapshots: Snapshots;
  /** Told once when the log can't be followed any more, and not again until it could be. */
  readonly onLost: (error: unknown) => void;
  /** Milliseconds that only go forward. */
  readonly now?: () => number;
};

/**
 * Keeps the catalogue in memory by following its stream, so that no request has to read what an operation costs.
 * Whoever makes it closes it.
 */
export class CatalogueFollower {
  readonly #parts: FollowerParts;
  readonly #now: () => number;
  #known: StreamState<Catalogue> | undefined;
  /** When the last look that succeeded was begun: the catalogue is at least as new as that. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;
  /** The look behind the one that is under way, for all who want one meanwhile. */
  #next: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lost = false;
  #closed = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#now = parts.now ?? (() => performance.now());
  }

  /** Takes a first look, and looks again and again from then on. Resolves where the log doesn't answer, too. */
  async start(): Promise<void> {
    await this.refresh();
    this.#plan();
  }

  /** The catalogue, at most 1 s old. Throws StoreUnavailableError where the log has not been seen for that long. */
  current(): Catalogue {
    if (this.#known === undefined || this.#now() - this.#lookedAt > GOOD_FOR) {
      throw new StoreUnavailableError('the catalogue could not be read for a second');
    }
    return this.#known.state;
  }

  /** The catalogue as it was last seen, however long ago; empty where it never was. For what needs no price. */
  latest(): Catalogue {
    return this.#known?.state ?? initialCatalogue;
  }

  /** The revision up to which the catalogue's stream was seen, -1 where it has no events. */
  get revision(): number {
    return this.#known?.revision ?? NO_STREAM;
  }

  /**
   * Looks at the log now. What was durable before the call is seen when it resolves, unless the log doesn't answer:
   * `current` tells. One look at a time: those who ask during one share the next.
   */
  refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    // Also where the look before it has just ended: it begins in a moment.
    if (this.#next !== undefined) return this.#next;
    if (this.#looking === undefined) return this.#begin();
    this.#next = this.#looking.then(() => {
      this.#next = undefined;
      return this.#begin();
    });
    return this.#next;
  }

  /** Looks no more, and waits for the look that is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#next;
    await this.#looking;
  }

  #plan(): void {
    if (this.#closed) return;
    // The next one is planned when this one is over, so that a slow log is not asked the more often.
    this.#timer = setTimeout(() => void this.refresh().then(() => this.#plan()), LOOK_EVERY).unref();
  }

  #begin(): Promise<void> {
    this.#looking = this.#look()
      .then(
        () => {
          this.#lost = false;
        },
        (error: unknown) => {
          if (!this.#lost) this.#parts.onLost(error);
          this.#lost = true;
        },
      )
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { store, snapshots } = this.#parts;
    for (;;) {
      const begun = this.#now();
      if (this.#known === undefined) {
        this.#known = (await createLoader(catalogueDecider, { store, snapshots })(CATALOGUE_STREAM)).state;
        this.#lookedAt = begun;
        return;
      }
      const page = await store.readStream(CATALOGUE_STREAM, { from: this.#known.revision + 1, limit: PAGE });
      for (const stored of page) {
        this.#known = advance(catalogueDecider, this.#known, readEvent(stored) as Recorded<CatalogueEvent>);
      }
      if (page.length < PAGE) {
        this.#lookedAt = begun;
        return;
      }
    }
  }
}
