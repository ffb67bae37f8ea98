import type { AccountEvent, AccountEventOf, Balances, LotAmounts } from '../events/account-events.ts';
import { type Micro, ZERO } from '../events/amounts.ts';
import { lotChanges } from '../events/lot-changes.ts';
import { appOf } from '../events/metadata.ts';
import type { Evolvable } from './decider.ts';
import { changed, type Lots, withLot } from './lots.ts';

/**
 * A user's account, folded from its stream. It holds what is open: lots with something left, holds not yet settled.
 * What is settled is let go, and read from the log as a fact by whoever names it. Times in ms since 1970.
 */
export type Account = { readonly status: 'unopened' } | OpenAccount;

export type OpenAccount = {
  readonly status: 'open';
  readonly balances: Balances;
  readonly lots: Lots;
  /** By revision. */
  readonly holds: readonly Hold[];
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
};

export const initialAccount: Account = { status: 'unopened' };

/** Open lots and open holds at the most. */
export const MAX_LOTS = 2_000;
export const MAX_HOLDS = 5_000;

/** The account after an event. An event that can't follow on this state is a bug or a broken log, and throws. */
export function evolve(account: Account, event: Evolvable<AccountEvent>): Account {
  if (event.type === 'AccountOpened') {
    return { status: 'open', balances: event.data.after, lots: [], holds: [], signedUp: false };
  }
  if (account.status === 'unopened') throw new Error(`${event.type} in an account that was never opened`);
  const signedUp = account.signedUp || (event.type === 'CreditsGranted' && event.data.source === 'signup');
  const made = { revision: event.revision, app: appOf(event.metadata.actor) };
  return { status: 'open', balances: event.data.after, signedUp, ...move(account, event, made) };
}

type Parts = Pick<OpenAccount, 'lots' | 'holds'>;

/** An event before the balances after it are known. */
export type Movement = {
  [Type in AccountEvent['type']]: { type: Type; data: Omit<AccountEventOf<Type>['data'], 'after'> };
}[AccountEvent['type']];

/** What an event, made at a revision by an app, does to lots and holds. */
export function move(account: Parts, event: Movement, made: { revision: number; app: string }): Parts {
  const { lots, holds } = account;
  switch (event.type) {
    case 'AccountOpened':
      return { lots, holds };
    case 'CreditsGranted': {
      const { amount, priority, expiresAt } = event.data;
      const lot = { revision: made.revision, available: amount, held: ZERO, priority, expiresAt: toMillis(expiresAt) };
      return { lots: withLot(lots, lot), holds };
    }
    case 'CreditsReserved': {
      const { amount, lots: held, operation, appId, expiresAt } = event.data;
      const one = { ...made, amount, lots: held, operation, appId, expiresAt: Date.parse(expiresAt) };
      return { lots: changed(lots, lotChanges(event)), holds: [...holds, one] };
    }
    case 'CreditsConsumed':
    case 'ReservationReleased':
      return { lots: changed(lots, lotChanges(event)), holds: without(holds, event.data.reservation) };
    case 'Expired': {
      const ended = new Set(event.data.holds.map(([revision]) => revision));
      return { lots: changed(lots, lotChanges(event)), holds: holds.filter((one) => !ended.has(one.revision)) };
    }
    default:
      return event satisfies never;
  }
}

/** The open hold made at a revision. */
export function findHold(holds: readonly Hold[], revision: number): Hold | undefined {
  return holds.find((one) => one.revision === revision);
}

/** When the next hold or lot runs out, in ms since 1970; null when none does. */
export function nextDue({ lots, holds }: Parts): number | null {
  let due = Number.POSITIVE_INFINITY;
  for (const one of holds) due = Math.min(due, one.expiresAt);
  for (const lot of lots) if (lot.expiresAt !== null && lot.available > 0) due = Math.min(due, lot.expiresAt);
  return due === Number.POSITIVE_INFINITY ? null : due;
}

function without(holds: readonly Hold[], revision: number | null): readonly Hold[] {
  return revision === null ? holds : holds.filter((one) => one.revision !== revision);
}

function toMillis(time: string | null): number | null {
  return time === null ? null : Date.parse(time);
}
