import type { AccountEvent, FreeUnits, LotAmounts } from '../events/account-events.ts';
import { type Micro, ZERO } from '../events/amounts.ts';
import type { Account } from './account.ts';
import { withBalances } from './balances.ts';
import { type Context, type Decision, type Facts, reject } from './decider.ts';
import { alreadyResolved, standingOf } from './holds.ts';
import { settle } from './lots.ts';

/** Gives back all that a hold kept: the work failed. */
export type ReleaseReservation = {
  readonly type: 'ReleaseReservation';
  /** The revision of the hold. */
  readonly reservation: number;
  readonly personal: string | null;
};

/**
 * Refuses a hold that was committed, and one of another app; one that was released already repeats the first answer.
 * A hold that has run out is settled with no credits to give back, so that no late commit takes anything.
 */
export function decideReleaseReservation(
  command: ReleaseReservation,
  account: Account,
  facts: Facts<AccountEvent>,
  context: Context,
): Decision<AccountEvent> {
  const standing = standingOf(command.reservation, account, facts, context);
  switch (standing.status) {
    case 'refused':
      return reject(standing.rejection);
    case 'settled':
      return standing.by.type === 'ReservationReleased'
        ? { kind: 'repeat', event: standing.by }
        : reject(alreadyResolved(standing.by));
    case 'expired':
      return release(command, account, { amount: ZERO, lots: [], free: standing.reserved.data.free }, context);
    case 'open':
      return release(command, account, standing.hold, context);
    default:
      return standing satisfies never;
  }
}

/** What a hold still keeps. */
type Kept = { readonly amount: Micro; readonly lots: LotAmounts; readonly free?: FreeUnits | undefined };

function release(
  { reservation, personal }: ReleaseReservation,
  account: Account,
  { amount, lots, free }: Kept,
  { now }: Context,
): Decision<AccountEvent> {
  if (account.status === 'unopened') return reject({ code: 'reservation_not_found' });
  const { returned, toFrozen, lapsed } = settle(account.lots, lots, ZERO, now);
  const released = withBalances(
    account,
    {
      type: 'ReservationReleased',
      data: {
        amount,
        free: free !== undefined && free.units > 0 ? free : undefined,
        lapsed,
        personal,
        reservation,
        returned,
        toFrozen,
      },
    },
    { about: [reservation] },
  );
  return { kind: 'append', events: [released] };
}
