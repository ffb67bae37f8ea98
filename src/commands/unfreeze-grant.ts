import type { AccountEvent } from '../events/account-events.ts';
import type { Account } from './account.ts';
import { withBalances } from './balances.ts';
import { type Context, type Decision, type Facts, reject } from './decider.ts';
import { standingOfGrant, unchangedGrant } from './grant-standing.ts';
import { endAfterFreeze, findLot } from './lots.ts';

/** Lets what is left of a frozen grant be spent again: the dispute was won. */
export type UnfreezeGrant = {
  readonly type: 'UnfreezeGrant';
  /** The revision of the grant. */
  readonly grant: number;
  /** Why: a dispute's id, say. */
  readonly reference: string;
};

/**
 * Frees what is frozen; debt is paid of it first. Where its end passed meanwhile it gets a new one. Nothing changes for
 * a grant that isn't frozen. Refuses what is no grant.
 */
export function decideUnfreezeGrant(
  { grant, reference }: UnfreezeGrant,
  account: Account,
  facts: Facts<AccountEvent>,
  { now }: Context,
): Decision<AccountEvent> {
  const standing = standingOfGrant(grant, facts);
  if (account.status === 'unopened' || standing === undefined) return reject({ code: 'grant_not_found' });
  const lot = findLot(account.lots, grant);
  if (lot === undefined || !lot.frozen) return unchangedGrant(standing);

  const { granted, revoked } = standing;
  const unfrozen = withBalances(
    account,
    {
      type: 'GrantUnfrozen',
      data: { amount: lot.free, expiresAt: endAfterFreeze(lot, now), grant, granted, reference, revoked },
    },
    { about: [grant] },
  );
  return { kind: 'append', events: [unfrozen] };
}
