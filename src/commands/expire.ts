import type { AccountEvent, LotAmounts } from '../events/account-events.ts';
import { type Micro, minus, ZERO } from '../events/amounts.ts';
import { sumOfLots } from '../events/lot-changes.ts';
import type { Account, Hold } from './account.ts';
import { withBalances } from './balances.ts';
import type { Decided } from './decider.ts';
import { changed, cover, freed, hasEnded, type Lots, sumByLot } from './lots.ts';

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
  const debtPaid = paidInTime(account.lots, endedHolds, account.balances.debt);
  const lots = changed(account.lots, [
    [returned, 1, -1],
    [debtPaid, -1, 0],
  ])
    .filter((lot) => hasEnded(lot, now) && lot.free > 0)
    .toSorted((a, b) => (a.expiresAt ?? 0) - (b.expiresAt ?? 0))
    .map((lot): [number, Micro] => [lot.revision, lot.free]);
  return withBalances(
    account,
    { type: 'Expired', data: { ...(debtPaid.length > 0 && { debtPaid }), holds, lots, returned, ...(toFrozen && { toFrozen }) } },
    { about: holds.map(([revision]) => revision) },
  );
}

/**
 * What pays debt, of what holds give back: each as it did at its time, before the lot that it came from ran out. So it
 * makes no difference how late that is written down.
 */
function paidInTime(lots: Lots, endedHolds: readonly Hold[], debt: Micro): LotAmounts {
  const paid: [number, Micro][] = [];
  let owed = debt;
  for (const moment of new Set(endedHolds.map(({ expiresAt }) => expiresAt))) {
    if (owed === ZERO) break;
    const kept = endedHolds.filter(({ expiresAt }) => expiresAt === moment).flatMap((hold) => hold.lots);
    const back = new Map(freed(lots, sumByLot(kept), moment).returned);
    // Whoever owes has nothing else to spend.
    const part = cover(
      lots.map((lot) => ({ ...lot, free: back.get(lot.revision) ?? ZERO })),
      owed,
    );
    owed = minus(owed, sumOfLots(part));
    paid.push(...part);
  }
  return sumByLot(paid);
}
