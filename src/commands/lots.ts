import type { LotAmounts } from '../events/account-events.ts';
import { least, type Micro, minus, plus, ZERO } from '../events/amounts.ts';

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

type Move = { readonly available: Micro; readonly held: Micro };

/** Moves amounts from what can be spent to what is held. */
export function hold(lots: Lots, amounts: LotAmounts): Lots {
  return move(lots, amounts, (amount) => ({ available: minus(ZERO, amount), held: amount }));
}

/** Moves amounts from what is held to what can be spent. */
export function unhold(lots: Lots, amounts: LotAmounts): Lots {
  return move(lots, amounts, (amount) => ({ available: amount, held: minus(ZERO, amount) }));
}

/** Takes amounts away from what can be spent: consumed or run out. What is empty is let go. */
export function spend(lots: Lots, amounts: LotAmounts): Lots {
  return move(lots, amounts, (amount) => ({ available: minus(ZERO, amount), held: ZERO })).filter(
    (lot) => lot.available > 0 || lot.held > 0,
  );
}

function move(lots: Lots, amounts: LotAmounts, by: (amount: Micro) => Move): Lots {
  if (amounts.length === 0) return lots;
  const moves = new Map(sumByLot(amounts));
  return lots.map((lot) => {
    const amount = moves.get(lot.revision);
    if (amount === undefined) return lot;
    const { available, held } = by(amount);
    return { ...lot, available: plus(lot.available, available), held: plus(lot.held, held) };
  });
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
