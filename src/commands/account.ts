import type { AccountEvent, Balances, FreeUnits, LotAmounts, Price } from '../events/account-events.ts';
import type { Micro } from '../events/amounts.ts';
import type { AboutLots } from '../events/lot-changes.ts';
import { appOf } from '../events/metadata.ts';
import type { Evolvable } from './decider.ts';
import { freeUsedAfter } from './free-units.ts';
import { type Lots, lotsAfter } from './lots.ts';

/**
 * A user's account, folded from its stream. It holds what is open: lots with something left, holds not yet settled.
 * What is settled is let go, and read from the log as a fact by whoever names it. Times in ms since 1970.
 */
export type Account = { readonly status: 'unopened' } | OpenAccount;

export type OpenAccount = {
  readonly status: 'open';
  /** Of the last event: the next one's lot, if it makes one, is named by the one behind it. */
  readonly revision: number;
  readonly balances: Balances;
  readonly lots: Lots;
  /** By revision. */
  readonly holds: readonly Hold[];
  /** What was used of free allowances, by app and operation: the newest period of each. */
  readonly freeUsed: readonly FreeUnits[];
  /** The signup grant is given once. */
  readonly signedUp: boolean;
};

export type Hold = {
  /** The revision of the event that made it. */
  readonly revision: number;
  readonly amount: Micro;
  readonly lots: LotAmounts;
  /** The app that made it, which alone may settle it. */
  readonly app: string;
  readonly operation: string | null;
  readonly appId: string | null;
  readonly expiresAt: number;
  /** What was asked for and not covered, for an app that is only observed. */
  readonly uncovered?: Micro | undefined;
  readonly price?: Price | undefined;
  readonly free?: FreeUnits | undefined;
};

export const initialAccount: Account = { status: 'unopened' };

/** Open lots, open holds and operations used for free at the most. */
export const MAX_LOTS = 2_000;
export const MAX_HOLDS = 5_000;
export const MAX_FREE = 1_000;

/** The account after an event. An event that can't follow on this state is a bug or a broken log, and throws. */
export function evolve(account: Account, event: Evolvable<AccountEvent>): Account {
  if (event.type === 'AccountOpened') {
    const { revision } = event;
    return { status: 'open', revision, balances: event.data.after, lots: [], holds: [], freeUsed: [], signedUp: false };
  }
  if (account.status === 'unopened') throw new Error(`${event.type} in an account that was never opened`);
  const signedUp = account.signedUp || (event.type === 'CreditsGranted' && event.data.source === 'signup');
  const made = { revision: event.revision, app: appOf(event.metadata.actor) };
  return {
    status: 'open',
    revision: event.revision,
    balances: event.data.after,
    lots: lotsAfter(account.lots, event, event.revision),
    holds: holdsAfter(account.holds, event, made),
    freeUsed: freeUsedAfter(account.freeUsed, event),
    signedUp,
  };
}

/** An event before the balances after it are known. */
export type Movement = AboutLots;

/** The holds after an event, made at a revision by an app. */
export function holdsAfter(
  holds: readonly Hold[],
  event: Movement,
  made: { readonly revision: number; readonly app: string },
): readonly Hold[] {
  switch (event.type) {
    case 'CreditsReserved': {
      const { amount, lots, operation, appId, uncovered, price, free } = event.data;
      const { revision, app } = made;
      const expiresAt = Date.parse(event.data.expiresAt);
      return [...holds, { revision, app, amount, lots, operation, appId, expiresAt, uncovered, price, free }];
    }
    case 'CreditsConsumed':
    case 'ReservationReleased': {
      const { reservation } = event.data;
      return reservation === null ? holds : holds.filter((one) => one.revision !== reservation);
    }
    case 'Expired': {
      const ended = new Set(event.data.holds.map(([revision]) => revision));
      return ended.size === 0 ? holds : holds.filter((one) => !ended.has(one.revision));
    }
    case 'AccountOpened':
    case 'CreditsGranted':
    case 'CreditsRefunded':
    case 'CreditsDebited':
    case 'GrantFrozen':
    case 'GrantUnfrozen':
    case 'GrantRevoked':
      return holds;
    default:
      return event satisfies never;
  }
}

/** The open hold made at a revision. */
export function findHold(holds: readonly Hold[], revision: number): Hold | undefined {
  return holds.find((one) => one.revision === revision);
}

/** When the next hold or lot runs out, in ms since 1970; null when none does. */
export function nextDue(lots: Lots, holds: readonly Hold[]): number | null {
  let due = Number.POSITIVE_INFINITY;
  for (const one of holds) due = Math.min(due, one.expiresAt);
  for (const lot of lots) if (lot.expiresAt !== null && lot.free > 0 && !lot.frozen) due = Math.min(due, lot.expiresAt);
  return due === Number.POSITIVE_INFINITY ? null : due;
}
