import type { AccountEvent, AccountEventOf } from '../events/account-events.ts';
import { ZERO } from '../events/amounts.ts';
import { appOf } from '../events/metadata.ts';
import type { Recorded } from '../events/event-types.ts';
import { type Account, findHold, type Hold } from './account.ts';
import type { Context, Facts } from './decider.ts';
import type { Rejection } from './rejection.ts';

type Settlement = Recorded<AccountEventOf<'CreditsConsumed' | 'ReservationReleased'>>;

/** How a hold stands that a command names. */
export type HoldStanding =
  | { readonly status: 'open'; readonly hold: Hold }
  /** It ran out. That settles nothing: a late commit or release still does. */
  | { readonly status: 'expired'; readonly reserved: Recorded<AccountEventOf<'CreditsReserved'>> }
  | { readonly status: 'settled'; readonly by: Settlement }
  | { readonly status: 'refused'; readonly rejection: Rejection };

/** The revisions that a command on a hold needs as facts: its own, where the hold is no longer open. */
export function missingHold(account: Account, reservation: number): readonly number[] {
  return account.status === 'open' && findHold(account.holds, reservation) !== undefined ? [] : [reservation];
}

/** Looks for a hold in the state, then in the facts. Refuses one that never was, or that another app made. */
export function standingOf(reservation: number, account: Account, facts: Facts<AccountEvent>, { app }: Context): HoldStanding {
  const hold = account.status === 'open' ? findHold(account.holds, reservation) : undefined;
  if (hold !== undefined) {
    return hold.app === app ? { status: 'open', hold } : { status: 'refused', rejection: { code: 'reservation_of_another_app' } };
  }
  const standing = facts.standing(reservation);
  if (standing === undefined || standing.event.type !== 'CreditsReserved') {
    return { status: 'refused', rejection: { code: 'reservation_not_found' } };
  }
  if (appOf(standing.event.metadata.actor) !== app) {
    return { status: 'refused', rejection: { code: 'reservation_of_another_app' } };
  }
  const { event: reserved, last } = standing;
  if (last?.type === 'CreditsConsumed' || last?.type === 'ReservationReleased') return { status: 'settled', by: last };
  return { status: 'expired', reserved };
}

/** How a settled hold is spoken of to whoever would settle it again. */
export function alreadyResolved(by: Settlement): Rejection {
  const transaction = { stream: by.stream, revision: by.revision };
  const consumed = by.type === 'CreditsConsumed';
  return {
    code: 'reservation_already_resolved',
    resolution: { status: consumed ? 'consumed' : 'released', transaction, amount: consumed ? by.data.amount : ZERO },
  };
}
