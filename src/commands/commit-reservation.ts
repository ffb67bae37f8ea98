import type { AccountEvent } from '../events/account-events.ts';
import { type Micro, minus, plus, ZERO } from '../events/amounts.ts';
import { sumOfLots } from '../events/lot-changes.ts';
import type { Account, Hold } from './account.ts';
import { tooHigh, withBalances, withinTotal } from './balances.ts';
import { type Context, type Decision, type Facts, reject } from './decider.ts';
import { alreadyResolved, standingOf } from './holds.ts';
import { cover, settle } from './lots.ts';

/** Captures a hold: takes what the work really cost. Less than was held, and the rest is released; or more. */
export type CommitReservation = {
  readonly type: 'CommitReservation';
  /** The revision of the hold. */
  readonly reservation: number;
  /** Micro-credits; null for all that was held. */
  readonly amount: Micro | null;
  /** What to do where the hold has run out: take from what is available, or refuse. */
  readonly onExpired: 'available' | 'refuse';
  readonly personal: string | null;
};

/**
 * Refuses what isn't covered (the hold stands), a hold that is settled (the same amount again repeats the first
 * answer), one of another app, and one that has run out where the caller asked for that.
 */
export function decideCommitReservation(
  command: CommitReservation,
  account: Account,
  facts: Facts<AccountEvent>,
  context: Context,
): Decision<AccountEvent> {
  const standing = standingOf(command.reservation, account, facts, context);
  switch (standing.status) {
    case 'refused':
      return reject(standing.rejection);
    case 'settled': {
      const { by } = standing;
      const original = facts.standing(command.reservation)?.event;
      const asked = command.amount ?? (original?.type === 'CreditsReserved' ? original.data.amount : null);
      return by.type === 'CreditsConsumed' && by.data.amount === asked
        ? { kind: 'repeat', event: by }
        : reject(alreadyResolved(by));
    }
    case 'expired': {
      if (command.onExpired === 'refuse') return reject({ code: 'reservation_expired' });
      const { amount, operation, appId } = standing.reserved.data;
      return capture(command, account, { amount, operation, appId, held: ZERO, lots: [] }, context);
    }
    case 'open': {
      return capture(command, account, { ...standing.hold, held: standing.hold.amount }, context);
    }
    default:
      return standing satisfies never;
  }
}

/** What a hold was made for, and what it still keeps. */
type Held = Pick<Hold, 'amount' | 'lots' | 'operation' | 'appId'> & { readonly held: Micro };

function capture(command: CommitReservation, account: Account, hold: Held, { now }: Context): Decision<AccountEvent> {
  if (account.status === 'unopened') return reject({ code: 'reservation_not_found' });
  const amount = command.amount ?? hold.amount;
  const { fromHold, returned, toFrozen, lapsed } = settle(account.lots, hold.lots, amount, now);
  const excess = minus(amount, sumOfLots(fromHold));
  const { available, spent } = account.balances;
  if (excess > available) {
    return reject({
      code: 'insufficient_credits',
      required: amount,
      available: plus(available, hold.held),
      operation: hold.operation,
    });
  }
  if (!withinTotal(spent, amount)) return tooHigh('totalSpent');
  const consumed = withBalances(
    account,
    {
      type: 'CreditsConsumed',
      data: {
        amount,
        appId: hold.appId,
        fromAvailable: cover(account.lots, excess),
        fromHold,
        lapsed,
        operation: hold.operation,
        personal: command.personal,
        reservation: command.reservation,
        returned,
        ...(toFrozen && { toFrozen }),
      },
    },
    { about: [command.reservation] },
  );
  return { kind: 'append', events: [consumed] };
}
