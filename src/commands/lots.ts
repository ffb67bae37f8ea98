import type { LotAmounts } from '../events/account-events.ts';
import { least, type Micro, micro, minus, plus, ZERO } from '../events/amounts.ts';
import { type AboutLots, type LotChange, lotChanges } from '../events/lot-changes.ts';

/** What is left of a grant: what no hold keeps, and what open holds keep of it. Times in ms since 1970. */
export type Lot = {
  /** The revision of the grant, or of the refund that made it. */
  readonly revision: number;
  /** What no hold keeps: to be spent, unless the lot is frozen. */
  readonly free: Micro;
  readonly held: Micro;
  /** A frozen lot keeps what it has: nothing of it is spent, and it doesn't run out meanwhile. */
  readonly frozen: boolean;
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
    if (lot.frozen) continue;
    const part = least(lot.free, open);
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
  for (const [amounts, free, held] of changes) {
    for (const [revision, amount] of amounts) {
      result ??= [...lots];
      // Amounts name lots in spending order, so the next one is mostly found at once.
      place = result[place + 1]?.revision === revision ? place + 1 : result.findIndex((lot) => lot.revision === revision);
      const lot = result[place];
      if (lot === undefined) throw new Error(`there is no lot ${revision}`);
      const next = {
        revision,
        free: micro(lot.free + amount * free),
        held: micro(lot.held + amount * held),
        frozen: lot.frozen,
        priority: lot.priority,
        expiresAt: lot.expiresAt,
      };
      if (isEmpty(next)) emptied = true;
      result[place] = next;
    }
  }
  if (result === undefined) return lots;
  return emptied ? result.filter((lot) => !isEmpty(lot)) : result;
}

/** A frozen lot is kept in mind even when nothing is left of it: what comes back to it is frozen too. */
function isEmpty({ free, held, frozen }: Lot): boolean {
  return free === 0 && held === 0 && !frozen;
}

/** The lots after an event made at a revision. */
export function lotsAfter(lots: Lots, event: AboutLots, revision: number): Lots {
  return changed(standing(lots, event, revision), lotChanges(event));
}

/** The lots that an event is about to change: those it makes or brings back among them, frozen or thawed as it says. */
function standing(lots: Lots, event: AboutLots, revision: number): Lots {
  switch (event.type) {
    case 'CreditsGranted': {
      const { amount, priority, expiresAt } = event.data;
      return withLot(lots, newLot(revision, amount, { priority, expiresAt }));
    }
    case 'CreditsRefunded': {
      const { reopened, fresh } = event.data;
      const back = reopened.reduce((all, one) => withLot(all, { ...newLot(one.revision, ZERO, one), frozen: one.frozen }), lots);
      return fresh === undefined ? back : withLot(back, newLot(revision, fresh.amount, fresh));
    }
    case 'GrantFrozen': {
      const { grant, reopened } = event.data;
      if (reopened !== undefined) return withLot(lots, { ...newLot(grant, ZERO, reopened), frozen: true });
      if (findLot(lots, grant) === undefined) throw new Error(`there is no lot ${grant}`);
      return lots.map((lot) => (lot.revision === grant ? { ...lot, frozen: true } : lot));
    }
    case 'GrantUnfrozen':
      return thawed(lots, event.data);
    case 'GrantRevoked':
      // Of a grant that is revoked altogether nothing is left to freeze: what its holds keep is theirs.
      return event.data.revoked === event.data.granted && isFrozen(lots, event.data.grant) ? thawed(lots, event.data) : lots;
    case 'AccountOpened':
    case 'CreditsReserved':
    case 'CreditsConsumed':
    case 'ReservationReleased':
    case 'Expired':
    case 'CreditsDebited':
      return lots;
    default:
      return event satisfies never;
  }
}

/** The lots with a frozen one to be spent again until an end. Let go where nothing is left of it. */
function thawed(lots: Lots, { grant, expiresAt }: { readonly grant: number; readonly expiresAt: string | null }): Lots {
  const lot = findLot(lots, grant);
  if (lot === undefined) throw new Error(`there is no lot ${grant}`);
  const others = lots.filter((one) => one !== lot);
  const whole = { ...lot, frozen: false, expiresAt: expiresAt === null ? null : Date.parse(expiresAt) };
  return isEmpty(whole) ? others : withLot(others, whole);
}

/** How long credits last that come back when their time is over, in ms. */
export const FRESH_FOR = 30 * 24 * 60 * 60_000;

/** The end of a lot that is no longer frozen at `now` (ms since 1970), as events hold it: a new one where it has passed. */
export function endAfterFreeze({ expiresAt }: Lot, now: number): string | null {
  if (expiresAt === null) return null;
  return new Date(expiresAt <= now ? now + FRESH_FOR : expiresAt).toISOString();
}

/** The lot of a grant; undefined where nothing is left of it. */
export function findLot(lots: Lots, revision: number): Lot | undefined {
  return lots.find((lot) => lot.revision === revision);
}

/** Whether a grant is frozen: a frozen lot is kept in mind as long as it is. */
export function isFrozen(lots: Lots, revision: number): boolean {
  return findLot(lots, revision)?.frozen === true;
}

function newLot(revision: number, free: Micro, terms: { readonly priority: number; readonly expiresAt: string | null }): Lot {
  const expiresAt = terms.expiresAt === null ? null : Date.parse(terms.expiresAt);
  return { revision, free, held: ZERO, frozen: false, priority: terms.priority, expiresAt };
}

/** What is held and not taken, by what becomes of it. */
export type Freed = { readonly returned: LotAmounts; readonly toFrozen?: LotAmounts; readonly lapsed: LotAmounts };

/** How an amount is taken from what a hold keeps: first lot first. What is left is freed. */
export function settle(lots: Lots, held: LotAmounts, amount: Micro, now: number): Freed & { readonly fromHold: LotAmounts } {
  const fromHold: [number, Micro][] = [];
  const rest: [number, Micro][] = [];
  let open = amount;
  for (const [revision, kept] of held) {
    const part = least(kept, open);
    open = minus(open, part);
    if (part > 0) fromHold.push([revision, part]);
    if (kept > part) rest.push([revision, minus(kept, part)]);
  }
  return { fromHold, ...freed(lots, rest, now) };
}

/** What becomes of what holds kept: back in its lots, frozen where those are, or lapsed where they ran out. */
export function freed(lots: Lots, amounts: LotAmounts, now: number): Freed {
  const returned: [number, Micro][] = [];
  const toFrozen: [number, Micro][] = [];
  const lapsed: [number, Micro][] = [];
  for (const [revision, amount] of amounts) {
    const lot = lots.find((candidate) => candidate.revision === revision);
    if (lot?.frozen === true) toFrozen.push([revision, amount]);
    else if (lot !== undefined && hasEnded(lot, now)) lapsed.push([revision, amount]);
    else returned.push([revision, amount]);
  }
  return { returned, lapsed, ...(toFrozen.length > 0 && { toFrozen }) };
}

/** Whether a lot's time is over. A frozen lot's stands still. */
export function hasEnded({ expiresAt, frozen }: Pick<Lot, 'expiresAt' | 'frozen'>, now: number): boolean {
  return !frozen && expiresAt !== null && expiresAt <= now;
}

/** Amounts with each lot once. */
export function sumByLot(amounts: LotAmounts): LotAmounts {
  const sums = new Map<number, Micro>();
  for (const [revision, amount] of amounts) sums.set(revision, plus(sums.get(revision) ?? ZERO, amount));
  return [...sums];
}
