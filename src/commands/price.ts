import type { FreeUnits, Price } from '../events/account-events.ts';
import { costOf, MAX_AMOUNT, type Micro, wholeBundles } from '../events/amounts.ts';
import { MAX_FREE, type OpenAccount } from './account.ts';
import { isOver, usedIn } from './free-units.ts';
import type { Rejection } from './rejection.ts';

/** So many units of an operation at the price in force: what is charged is decided on the account's own state. */
export type PricedUse = Price & {
  /** So many times `per` units are free in each period. */
  readonly free: { readonly uses: number; readonly period: FreeUnits['period'] } | null;
};

/** An operation that nobody priced for an app: refused, but only after a look whether its key was used before. */
type UnpricedUse = { readonly unpriced: true; readonly app: string; readonly operation: string };

/** What a command asks for: an amount in micro-credits, or an operation by its price. */
export type Asked = Micro | PricedUse | UnpricedUse;

/** What is charged, in micro-credits, at which price, and what of it a free allowance covers. */
export type Charge = { readonly amount: Micro; readonly price?: Price; readonly free?: FreeUnits };

/**
 * What a command is charged on an account at a time (ms since 1970): units within the free allowance cost nothing, the
 * others `cost` for each `per`, rounded up to the micro-credit. Refuses an operation without a price, an amount above
 * MAX_AMOUNT, and more operations with a free allowance than an account keeps count of.
 */
export function chargeOf(asked: Asked, account: OpenAccount, now: number): Charge | Rejection {
  if (typeof asked === 'number') return { amount: asked };
  if ('unpriced' in asked) return { code: 'operation_not_found', app: asked.app, operation: asked.operation };
  const { app, cost, operation, per, quantity, revision } = asked;
  const free = freeUnits(asked, account, now);
  const amount = costOf(cost, quantity - (free?.units ?? 0), per);
  if (amount === undefined) return { code: 'limit_exceeded', limit: 'amount', maximum: MAX_AMOUNT };
  if (free !== undefined && isNew(account, free) && account.freeUsed.filter((one) => !isOver(one, free)).length >= MAX_FREE) {
    return { code: 'limit_exceeded', limit: 'freeOperations', maximum: MAX_FREE };
  }
  return { amount, price: { app, cost, operation, per, quantity, revision }, ...(free && { free }) };
}

/** Which units the allowance covers; undefined where the operation has none. */
function freeUnits({ app, operation, per, quantity, free }: PricedUse, account: OpenAccount, now: number): FreeUnits | undefined {
  if (free === null) return undefined;
  const of = { app, key: periodKey(free.period, now), operation, period: free.period, remaining: 0 };
  const left = Math.max(free.uses * per - usedIn(account.freeUsed, of), 0);
  const units = Math.min(left, quantity);
  return { ...of, remaining: left - units, units };
}

function isNew({ freeUsed }: OpenAccount, { app, operation, period, units }: FreeUnits): boolean {
  return units > 0 && !freeUsed.some((one) => one.app === app && one.operation === operation && one.period === period);
}

/** The period that a time falls into, in UTC: its day, its month, or all time. */
function periodKey(period: FreeUnits['period'], now: number): string {
  const day = new Date(now).toISOString().slice(0, 10);
  switch (period) {
    case 'day':
      return day;
    case 'month':
      return day.slice(0, 7);
    case 'lifetime':
      return '';
    default:
      return period satisfies never;
  }
}

/** How many free uses of an operation are left, of `per` units each. */
export function freeUsesLeft({ remaining }: FreeUnits, { per }: Price): number {
  return wholeBundles(remaining, per);
}
