import type { AccountEvent, AccountEventOf, LotAmounts } from '../events/account-events.ts';
import { least, type Micro, minus, plus, ZERO } from '../events/amounts.ts';
import { sumOfLots } from '../events/lot-changes.ts';
import type { Account } from './account.ts';
import { withBalances } from './balances.ts';
import { type Context, type Decision, type Facts, reject } from './decider.ts';
import { standingOfGrant, unchangedGrant } from './grant-standing.ts';
import { cover, endAfterFreeze, findLot, type Lots } from './lots.ts';

/** Takes back what a payment bought: it was refunded, or its dispute was lost. */
export type RevokeGrant = {
  readonly type: 'RevokeGrant';
  /** The revision of the grant. */
  readonly grant: number;
  /** Micro-credits; null for all that is not revoked yet. */
  readonly amount: Micro | null;
  /** Why: a dispute's or a refund's id, say. */
  readonly reference: string;
};

/**
 * Takes from what is left of the grant, then from what can be spent, and what then is left is owed: never refused for
 * want of credits. What open holds keep stays theirs. A grant that is revoked altogether is no longer frozen. Nothing
 * changes where nothing is left to revoke. Refuses more than is left of what the grant gave, and what is no grant.
 */
export function decideRevokeGrant(
  command: RevokeGrant,
  account: Account,
  facts: Facts<AccountEvent>,
  { now }: Context,
): Decision<AccountEvent> {
  const { grant, reference } = command;
  const standing = standingOfGrant(grant, facts);
  if (account.status === 'unopened' || standing === undefined) return reject({ code: 'grant_not_found' });
  const { granted, source } = standing;
  const revocable = minus(granted, standing.revoked);
  const amount = command.amount ?? revocable;
  if (amount > revocable) return reject({ code: 'limit_exceeded', limit: 'revocable', maximum: revocable });
  if (amount === 0) return unchangedGrant(standing);

  const lot = findLot(account.lots, grant);
  // Only where the grant is revoked altogether does its freeze end.
  const ends = lot?.frozen === true && amount === revocable;
  const left = lot === undefined || !ends ? ZERO : minus(lot.free, least(lot.free, amount));
  const revoked = withBalances(
    account,
    {
      type: 'GrantRevoked',
      data: {
        amount,
        ...takenFrom(account.lots, grant, amount),
        expiresAt: lot !== undefined && ends ? endAfterFreeze(lot, now) : standing.expiresAt,
        grant,
        granted,
        reference,
        revoked: plus(standing.revoked, amount),
        source,
        ...(left > 0 && { unfrozen: left }),
      },
    },
    { about: [grant] },
  );
  return { kind: 'append', events: [revoked] };
}

type Taken = Pick<AccountEventOf<'GrantRevoked'>['data'], 'debt' | 'fromAvailable' | 'fromFrozen'>;

/** Where an amount of a grant is taken from: its own lot, the others in spending order, and a debt. */
function takenFrom(lots: Lots, grant: number, amount: Micro): Taken {
  const lot = findLot(lots, grant);
  const own = lot === undefined ? ZERO : least(lot.free, amount);
  const others = cover(
    lots.filter((one) => one !== lot),
    minus(amount, own),
  );
  const isFrozen = lot?.frozen === true;
  const ownAvailable: LotAmounts = own > 0 && !isFrozen ? [[grant, own]] : [];
  return {
    debt: minus(minus(amount, own), sumOfLots(others)),
    fromAvailable: [...ownAvailable, ...others],
    fromFrozen: isFrozen ? own : ZERO,
  };
}
