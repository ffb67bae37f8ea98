import type { LotAmounts } from '../events/account-events.ts';
import { least, type Micro, micro, minus, plus, ZERO } from '../events/amounts.ts';
import type { LotChange } from '../events/lot-changes.ts';

/** What is left of a grant: what can be spent, and what open holds keep of it. Times in ms since 1970. */
export type Lot = {
  /** The revision of the grant. */
  readonly revision: number;
  readonly available: Micro;
  readonly held: Micro;
  readonly priority: number;
  readonly expiresAt: number | null;
};

/** Lots in the order in which they are spent: by priority, then soonest expiry, then oldest. */
export type Lots = readonly Lot[];

function spentBefore(a: Lot, b: Lot): boolean {
  if (a.priority !== b.priority) return a.priority < b.priority;
  const [aEnds, bEnds] = [a.expiresAt ?? Number.POSITIVE_INFINITY, b.expiresAt ?? Number.POSITIVE_INFINITY];
  return aEnds === bEnds ? a.revision < b.revision : aEnds < bEnds;
}

/** The lots with one more, at its place. */
export function withLot(lots: Lots, lot: Lot): Lots {
  const place = lots.findIndex((other) => spentBefore(lot, other));
  return place === -1 ? [...lots, lot] : lots.toSpliced(place, 0, lot);
}

/** Which lots cover an amount, in spending order: fewer than asked where they don't. */
export function cover(lots: Lots, amount: Micro): LotAmounts {
  const taken: [number, Micro][] = [];
  let open = amount;
  for (const lot of lots) {
    if (open === 0) break;
    const part = least(lot.available, open);
    if (part > 0) taken.push([lot.revision, part]);
    open = minus(open, part);
  }
  return taken;
}

/** The lots after some changes. What is empty is let go. */
export function changed(lots: Lots, changes: readonly LotChange[]): Lots {
  let result: Lot[] | undefined;
  let emptied = false;
  let place = -1;
  for (const [amounts, available, held] of changes) {
    for (const [revision, amount] of amounts) {
      result ??= [...lots];
      // Amounts name lots in spending order, so the next one is mostly found at once.
      place = result[place + 1]?.revision === revision ? place + 1 : result.findIndex((lot) => lot.revision === revision);
      const lot = result[place];
      if (lot === undefined) throw new Error(`there is no lot ${revision}`);
      const next = {
        revision,
        available: micro(lot.available + amount * available),
        held: micro(lot.held + amount * held),
        priority: lot.priority,
        expiresAt: lot.expiresAt,
      };
      if (next.available === 0 && next.held === 0) emptied = true;
      result[place] = next;
    }
  }
  if (result === undefined) return lots;
  return emptied ? result.filter((lot) => lot.available !== 0 || lot.held !== 0) : result;
}

/** How an amount is taken from what a hold keeps: first lot first. What is left goes back, or lapses with its lot. */
export function settle(lots: Lots, held: LotAmounts, amount: Micro, now: number) {
  const fromHold: [number, Micro][] = [];
  const returned: [number, Micro][] = [];
  const lapsed: [number, Micro][] = [];
  let open = amount;
  for (const [revision, kept] of held) {
    const part = least(kept, open);
    const rest = minus(kept, part);
    open = minus(open, part);
    if (part > 0) fromHold.push([revision, part]);
    if (rest > 0) (hasEnded(lots, revision, now) ? lapsed : returned).push([revision, rest]);
  }
  return { fromHold, returned, lapsed };
}

function hasEnded(lots: Lots, revision: number, now: number): boolean {
  const lot = lots.find((candidate) => candidate.revision === revision);
  return lot !== undefined && lot.expiresAt !== null && lot.expiresAt <= now;
}

/** Amounts with each lot once. */
export function sumByLot(amounts: LotAmounts): LotAmounts {
  const sums = new Map<number, Micro>();
  for (const [revision, amount] of amounts) sums.set(revision, plus(sums.get(revision) ?? ZERO, amount));
  return [...sums];
}
