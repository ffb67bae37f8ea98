import type { Rejection } from '../../src/commands/rejection.ts';
import type { Micro } from '../../src/events/amounts.ts';

/*
 * The account of the plain model: lots, holds and consumptions that are kept for ever, and what takes from lots and
 * gives back to them. Amounts in micro-credits, times in ms since 1970.
 */

export type ModelLot = {
  readonly revision: number;
  readonly priority: number;
  readonly granted: number;
  ends: number;
  left: number;
  held: number;
  frozen: boolean;
  revoked: number;
  /** The last event that froze, thawed or revoked it. */
  lastAbout: number | null;
};

/** What was held or taken of lots, in the order in which it was. */
export type Parts = readonly { readonly lot: ModelLot; readonly amount: number }[];

export type ModelHold = {
  readonly revision: number;
  readonly app: string;
  readonly amount: number;
  readonly operation: string | null;
  readonly ends: number;
  readonly parts: Parts;
  status: 'open' | 'expired' | 'consumed' | 'released';
  settledBy: number;
  taken: number;
};

export type ModelUse = { readonly revision: number; readonly amount: number; readonly parts: Parts; refunded: number | null };

export type Model = {
  /** How many events its stream has. */
  events: number;
  open: boolean;
  signedUp: boolean;
  earned: number;
  spent: number;
  debt: number;
  lots: ModelLot[];
  holds: ModelHold[];
  uses: ModelUse[];
  /** What was used once: idempotency keys with their request, reasons with their reference. */
  used: { readonly name: string; readonly request: string; readonly revision: number }[];
};

export type ModelAnswer =
  | { readonly kind: 'accepted'; readonly revision: number; readonly replayed: boolean }
  | { readonly kind: 'unchanged'; readonly revision: number | null }
  | { readonly kind: 'rejected'; readonly rejection: Rejection };

export const THIRTY_DAYS = 30 * 24 * 60 * 60_000;

export function newModel(): Model {
  return { events: 0, open: false, signedUp: false, earned: 0, spent: 0, debt: 0, lots: [], holds: [], uses: [], used: [] };
}

/** What the account shows, as its events say it. */
export function shown(model: Model) {
  const due = [
    ...model.holds.filter(({ status }) => status === 'open').map(({ ends }) => ends),
    ...model.lots.filter(({ left, frozen }) => left > 0 && !frozen).map(({ ends }) => ends),
  ].filter((end) => end !== Number.POSITIVE_INFINITY);
  return {
    available: available(model),
    reserved: sum(model.lots.map(({ held }) => held)),
    debt: model.debt,
    frozen: sum(model.lots.map(({ left, frozen }) => (frozen ? left : 0))),
    earned: model.earned,
    spent: model.spent,
    dueAt: due.length === 0 ? null : new Date(Math.min(...due)).toISOString(),
  };
}

/** What can be spent. */
export function available(model: Model): number {
  return sum(model.lots.map(({ left, frozen }) => (frozen ? 0 : left)));
}

/** A lot that the next event makes. */
export function addLot(model: Model, { amount, priority, ends }: { amount: number; priority: number; ends: number }): void {
  const untouched = { held: 0, frozen: false, revoked: 0, lastAbout: null };
  model.lots.push({ revision: model.events, priority, ends, granted: amount, left: amount, ...untouched });
}

/** Takes an amount from the lots: smaller priority first, then the sooner end, then the older. */
export function take(model: Model, wanted: number): Parts {
  const order = model.lots
    .filter(({ frozen }) => !frozen)
    .sort((a, b) => {
      if (a.priority !== b.priority) return a.priority - b.priority;
      if (a.ends !== b.ends) return a.ends < b.ends ? -1 : 1;
      return a.revision - b.revision;
    });
  const parts: { lot: ModelLot; amount: number }[] = [];
  let open = wanted;
  for (const lot of order) {
    const amount = Math.min(lot.left, open);
    if (amount === 0) continue;
    lot.left -= amount;
    open -= amount;
    parts.push({ lot, amount });
  }
  if (open !== 0) throw new Error('the model was asked for more than it has');
  return parts;
}

/** Whatever there is goes into the debt first. */
export function payDebt(model: Model): void {
  const part = Math.min(model.debt, available(model));
  take(model, part);
  model.debt -= part;
}

export function isOver(lot: ModelLot, now: number): boolean {
  return !lot.frozen && lot.ends <= now;
}

/** An answer of one more event. */
export function written(model: Model): ModelAnswer {
  payDebt(model);
  model.events += 1;
  return { kind: 'accepted', revision: model.events - 1, replayed: false };
}

export function no(rejection: Rejection): ModelAnswer {
  return { kind: 'rejected', rejection };
}

export function insufficient(required: number, there: number, operation: string | null): ModelAnswer {
  return no({ code: 'insufficient_credits', required: required as Micro, available: there as Micro, operation });
}

export function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}
