import type { AccountEvent } from '../events/account-events.ts';
import type { Micro } from '../events/amounts.ts';
import type { Account } from './account.ts';
import { withBalances } from './balances.ts';
import type { Decided } from './decider.ts';
import { changed, freed, hasEnded, sumByLot } from './lots.ts';

/** Asks for nothing but that what has run out by now is written down, as before every other command. */
export type ExpireDue = { readonly type: 'ExpireDue' };

/**
 * What has run out by `now` (ms since 1970): holds first, whose credits go back to their lots, then what can be spent
 * of lots past their end. What other holds keep of such a lot stays kept until they are settled.
 */
export function decideExpired(account: Account, now: number): Decided<AccountEvent> | undefined {
  if (account.status === 'unopened') return undefined;
  const { dueAt } = account.balances;
  if (dueAt === null || Date.parse(dueAt) > now) return undefined;

  const endedHolds = account.holds.filter((hold) => hold.expiresAt <= now).toSorted((a, b) => a.expiresAt - b.expiresAt);
  const holds = endedHolds.map((hold): [number, Micro] => [hold.revision, hold.amount]);
  const kept = sumByLot(endedHolds.flatMap((hold) => hold.lots));
  // Nothing lapses here: what goes back to a lot that has run out runs out with it in the same event.
  const { returned, toFrozen } = freed(account.lots, kept, Number.NEGATIVE_INFINITY);
  const lots = changed(account.lots, [[returned, 1, -1]])
    .filter((lot) => hasEnded(lot, now) && lot.free > 0)
    .toSorted((a, b) => (a.expiresAt ?? 0) - (b.expiresAt ?? 0))
    .map((lot): [number, Micro] => [lot.revision, lot.free]);
  return withBalances(
    account,
    { type: 'Expired', data: { holds, lots, returned, ...(toFrozen && { toFrozen }) } },
    { about: holds.map(([revision]) => revision) },
  );
}
