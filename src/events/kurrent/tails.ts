import { LRUCache } from 'lru-cache';
import type { Facts, Span } from './fact-index.ts';

/** Facts that are kept in memory at the most: each is some hundred bytes. */
const FACTS_KEPT = 200_000;

/** A stream's facts behind `low`, up to `high`, to look them up by. */
type Tail = {
  readonly low: number;
  readonly high: number;
  readonly claims: Map<string, number>;
  readonly links: Map<number, number>;
};

/** The revisions of claims, and of the last events about earlier ones. */
export type KnownTail = {
  readonly high: number;
  readonly claims: ReadonlyMap<string, number>;
  readonly links: ReadonlyMap<number, number>;
};

const NOTHING: ReadonlyMap<never, number> = new Map<never, number>();

/**
 * What the index in Postgres doesn't know yet of streams that this process has written or read. A tail that is pushed
 * out of memory is read from its stream again.
 */
export class Tails {
  readonly #tails = new LRUCache<string, Tail>({
    maxSize: FACTS_KEPT,
    sizeCalculation: ({ claims, links }) => 1 + claims.size + links.size,
  });

  /**
   * What is known of a stream behind a revision, up to `high`, which is that revision where nothing is. What is in it
   * stays in it, whatever is forgotten here meanwhile.
   */
  behind(stream: string, from: number): KnownTail {
    const tail = this.#tails.get(stream);
    if (tail === undefined || tail.low > from || tail.high <= from) return { high: from, claims: NOTHING, links: NOTHING };
    return tail;
  }

  /** Adds a span's facts. Where something is missing before it, what was known earlier is forgotten. */
  add({ stream, low, high, claims, links }: Span): void {
    const tail = this.#tails.get(stream);
    const joins = tail !== undefined && tail.low <= low && low <= tail.high;
    if (joins && tail.high >= high) return;
    const known = joins ? tail : { low, claims: new Map<string, number>(), links: new Map<number, number>() };
    for (const [claim, revision] of claims) known.claims.set(claim, revision);
    for (const [about, revision] of links) known.links.set(about, revision);
    // A new object, so that its size is taken anew.
    this.#tails.set(stream, { low: known.low, high, claims: known.claims, links: known.links });
  }

  /** Forgets what the index knows by now. Never takes anything out of a map that somebody may still look into. */
  prune(stream: string, upTo: number): void {
    const tail = this.#tails.get(stream);
    if (tail === undefined || upTo <= tail.low) return;
    if (upTo >= tail.high) {
      this.#tails.delete(stream);
      return;
    }
    const later = <Key>(facts: Map<Key, number>) => new Map([...facts].filter(([, revision]) => revision > upTo));
    this.#tails.set(stream, { low: upTo, high: tail.high, claims: later(tail.claims), links: later(tail.links) });
  }
}

/** What the metadata of stored events says of claims and links. Metadata that can't be read says nothing. */
export function factsOf(events: readonly { readonly revision: number; readonly metadata: string }[]): Facts {
  const claims: [string, number][] = [];
  const links: [number, number][] = [];
  for (const { revision, metadata } of events) {
    const noted = parse(metadata);
    for (const claim of noted.claims ?? []) claims.push([claim, revision]);
    for (const about of noted.about ?? []) links.push([about, revision]);
  }
  return { claims, links };
}

function parse(metadata: string): { claims?: readonly string[]; about?: readonly number[] } {
  try {
    return JSON.parse(metadata) as { claims?: readonly string[]; about?: readonly number[] };
  } catch {
    return {};
  }
}
