import type { AccountEvent } from '../events/account-events.ts';
import { ZERO } from '../events/amounts.ts';
import type { Account } from './account.ts';
import { withBalances } from './balances.ts';
import { type Decision, type Facts, reject } from './decider.ts';
import { standingOfGrant, unchangedGrant } from './grant-standing.ts';
import { findLot } from './lots.ts';

/** Keeps what is left of a grant from being spent, while it is in dispute whether it was paid for. */
export type FreezeGrant = {
  readonly type: 'FreezeGrant';
  /** The revision of the grant. */
  readonly grant: number;
  /** Why: a dispute's id, say. */
  readonly reference: string;
};

/**
 * Freezes what no hold keeps; what comes back to the grant later is frozen too, so a lot that nothing is left of is
 * opened again. Nothing changes for a grant that is frozen, or revoked altogether. Refuses what is no grant.
 */
export function decideFreezeGrant(command: FreezeGrant, account: Account, facts: Facts<AccountEvent>): Decision<AccountEvent> {
  const { grant, reference } = command;
  const standing = standingOfGrant(grant, facts);
  if (account.status === 'unopened' || standing === undefined) return reject({ code: 'grant_not_found' });
  const { expiresAt, granted, priority, revoked } = standing;
  const lot = findLot(account.lots, grant);
  if (lot?.frozen === true || revoked === granted) return unchangedGrant(standing);

  const frozen = withBalances(
    account,
    {
      type: 'GrantFrozen',
      data: {
        amount: lot?.free ?? ZERO,
        expiresAt,
        grant,
        granted,
        reference,
        ...(lot === undefined && { reopened: { expiresAt, priority } }),
        revoked,
      },
    },
    { about: [grant] },
  );
  return { kind: 'append', events: [frozen] };
}
