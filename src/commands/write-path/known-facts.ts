import { type LedgerEvent, type Recorded, readEvent, type StoredEvent } from '../../events/event-types.ts';
import type { Standing } from '../../events/store.ts';
import type { Facts } from '../decider.ts';

/**
 * What a batch knows beside its state. Facts are read after the state and may hold up to a later revision; every event
 * that follows, of this batch or brought by a conflict, is noted, and an older one never takes a newer one's place.
 */
export class KnownFacts<Event extends LedgerEvent> implements Facts<Event> {
  // Most batches know nothing and note one event: what isn't needed isn't made.
  #claims: Map<string, Recorded<Event>> | undefined;
  #standings: Map<number, Known<Event>> | undefined;
  /** What was looked for, found or not: nothing is read twice. */
  #asked: Set<number> | undefined;
  #askedClaims: Set<string> | undefined;

  claimed(claim: string): Recorded<Event> | undefined {
    return this.#claims?.get(claim);
  }

  standing(revision: number): Known<Event> | undefined {
    return this.#standings?.get(revision);
  }

  /** Those of the revisions that were never looked for. */
  unread(revisions: readonly number[]): readonly number[] {
    const asked = this.#asked;
    return asked === undefined ? revisions : revisions.filter((revision) => !asked.has(revision));
  }

  /** Whether a claim was never looked for. */
  isUnread(claim: string): boolean {
    return this.#askedClaims?.has(claim) !== true;
  }

  /** Notes what was found of the claims that were looked for, or what a conflict told of others. */
  addClaims(found: ReadonlyMap<string, StoredEvent>, asked: readonly string[] = []): void {
    if (asked.length > 0) this.#askedClaims ??= new Set();
    for (const claim of asked) this.#askedClaims?.add(claim);
    for (const [claim, stored] of found) this.#setClaim(claim, readEvent(stored) as Recorded<Event>);
  }

  addStandings(asked: readonly number[], found: ReadonlyMap<number, Standing>): void {
    if (asked.length === 0) return;
    this.#asked ??= new Set();
    for (const revision of asked) this.#asked.add(revision);
    this.#standings ??= new Map();
    for (const [revision, { event, last }] of found) {
      this.#standings.set(revision, {
        event: readEvent(event) as Recorded<Event>,
        last: last && (readEvent(last) as Recorded<Event>),
      });
    }
  }

  /** Forgets what was read of earlier events. Claims stay: nothing takes one back. */
  forgetStandings(): void {
    this.#asked = undefined;
    this.#standings = undefined;
  }

  /** Notes a later event: its claims stand from now on, and it is the last about what it is about. */
  note(event: Recorded<Event>): void {
    for (const claim of event.metadata.claims) this.#setClaim(claim, event);
    if (this.#standings === undefined) return;
    // It was looked for before it was there.
    if (this.#asked?.has(event.revision) === true && !this.#standings.has(event.revision)) {
      this.#standings.set(event.revision, { event, last: undefined });
    }
    for (const about of event.metadata.about) {
      const standing = this.#standings.get(about);
      if (standing !== undefined && (standing.last?.revision ?? -1) < event.revision) standing.last = event;
    }
  }

  /** A copy to try a batch on: what is noted there is forgotten with it. */
  fork(): KnownFacts<Event> {
    const copy = new KnownFacts<Event>();
    copy.#claims = this.#claims && new Map(this.#claims);
    copy.#standings = this.#standings && new Map([...this.#standings].map(([revision, known]) => [revision, { ...known }]));
    copy.#asked = this.#asked && new Set(this.#asked);
    copy.#askedClaims = this.#askedClaims && new Set(this.#askedClaims);
    return copy;
  }

  #setClaim(claim: string, event: Recorded<Event>): void {
    this.#claims ??= new Map();
    this.#claims.set(claim, event);
  }
}

type Known<Event extends LedgerEvent> = { readonly event: Recorded<Event>; last: Recorded<Event> | undefined };
