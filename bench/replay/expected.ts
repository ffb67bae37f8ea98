import type { User } from './plan.ts';

/** What a user's account must show at the end, in micro-credits. */
export type Expected = { readonly available: bigint; readonly spent: bigint };

/** What all requests together must come to. */
export type Totals = { requests: number; refused: number; released: number; held: bigint; used: bigint; returned: bigint };

export function noTotals(): Totals {
  return { requests: 0, refused: 0, released: 0, held: 0n, used: 0n, returned: 0n };
}

/** The plain sum: a request is refused where its hold isn't covered; else it costs what was generated, or nothing. */
export function expectedOf(users: readonly User[]): {
  readonly accounts: ReadonlyMap<number, Expected>;
  readonly totals: Totals;
} {
  const accounts = new Map<number, Expected>();
  const totals = noTotals();
  for (const { rank, start, requests } of users) {
    let available = start;
    for (const { hold, cost, release } of requests) {
      totals.requests += 1;
      if (hold > available) {
        totals.refused += 1;
        continue;
      }
      const used = release ? 0n : cost;
      available -= used;
      totals.released += release ? 1 : 0;
      totals.held += hold;
      totals.used += used;
      totals.returned += hold - used;
    }
    accounts.set(rank, { available, spent: start - available });
  }
  return { accounts, totals };
}
