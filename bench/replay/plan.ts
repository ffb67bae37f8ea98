import { type App, PRICES } from './prices.ts';
import type { TraceRow } from './trace.ts';

export const USERS = 2_000;

const SEED = 20_231_116;
/** The n-th user's share goes with 1 / n ** this: the busiest makes one request in twenty. */
const ZIPF_EXPONENT = 0.8;
/** Of a hundred requests, so many are given up after the hold, as when an answer fails. */
const RELEASED_PERCENT = 2;
/** Of a hundred users, so many start with less than they will need, and run out. */
const SHORT_PERCENT = 20;

/** A request as the ledger sees it. Amounts in micro-credits. */
export type Request = {
  /** Its place in the trace. */
  readonly row: number;
  readonly app: App;
  /** For the context and the largest answer. */
  readonly hold: bigint;
  /** For what was generated. */
  readonly cost: bigint;
  readonly release: boolean;
};

/** A user, what they start with, and their requests in order. */
export type User = { readonly rank: number; readonly start: bigint; readonly requests: readonly Request[] };

/**
 * Who makes which request, who runs out and what is released, all from one seed: the same at every run. Users who never
 * appear are left out; the busiest comes first.
 */
export function makePlan(trace: readonly TraceRow[]): readonly User[] {
  const random = seeded(SEED);
  const draw = zipf(USERS, random);
  const requests = Array.from({ length: USERS }, (): Request[] => []);
  trace.forEach(({ app, context, generated }, row) => {
    const price = PRICES[app];
    const asked = context * price.context;
    requests[draw()]?.push({
      row,
      app,
      hold: asked + price.largestAnswer * price.generated,
      cost: asked + generated * price.generated,
      release: random() * 100 < RELEASED_PERCENT,
    });
  });
  return requests
    .map((own, index) => ({ rank: index + 1, start: startOf(own, random() * 100 < SHORT_PERCENT), requests: own }))
    .filter((user) => user.requests.length > 0)
    .toSorted((a, b) => b.requests.length - a.requests.length || a.rank - b.rank);
}

/** Enough for every request, or two thirds of what they cost together. */
function startOf(requests: readonly Request[], short: boolean): bigint {
  let cost = 0n;
  let largestHold = 0n;
  for (const request of requests) {
    cost += request.cost;
    if (request.hold > largestHold) largestHold = request.hold;
  }
  return short ? (cost * 2n) / 3n : cost + largestHold;
}

/** Draws indices from 0 by Zipf's law. */
function zipf(count: number, random: () => number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= count; rank += 1) sums.push((sum += 1 / rank ** ZIPF_EXPONENT));
  return () => {
    const at = random() * sum;
    let low = 0;
    let high = count - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) > at) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}

/** Numbers from 0 to 1 that follow from the seed: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
