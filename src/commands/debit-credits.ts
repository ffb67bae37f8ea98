import type { AccountEvent, AccountEventOf } from '../events/account-events.ts';
import type { Micro } from '../events/amounts.ts';
import { debitClaim } from '../events/claims.ts';
import type { Account } from './account.ts';
import { balancesOf, withBalances } from './balances.ts';
import { type Decision, type Facts, reject } from './decider.ts';
import { cover } from './lots.ts';

/** Takes credits that go into a stream of their own, a gift or a pool: once for each (reason, reference) of an account. */
export type DebitCredits = {
  readonly type: 'DebitCredits';
  /** Micro-credits. */
  readonly amount: Micro;
  readonly reason: AccountEventOf<'CreditsDebited'>['data']['reason'];
  /** What takes them up: a gift's code, say. */
  readonly reference: string;
  readonly appId: string | null;
  readonly personal: string | null;
};

/** Takes from what can be spent, in spending order. Refuses what isn't covered, unless it was taken before. */
export function decideDebitCredits(command: DebitCredits, account: Account, facts: Facts<AccountEvent>): Decision<AccountEvent> {
  const claim = debitClaim(command.reason, command.reference);
  const taken = facts.claimed(claim);
  if (taken !== undefined) return { kind: 'unchanged', event: taken };

  const { amount, appId, personal, reason, reference } = command;
  const { available } = balancesOf(account);
  if (account.status === 'unopened' || available < amount) {
    const rejection = { code: 'insufficient_credits', required: amount, available, operation: null } as const;
    return { ...reject(rejection), unless: [claim] };
  }
  const debited = withBalances(
    account,
    { type: 'CreditsDebited', data: { amount, appId, lots: cover(account.lots, amount), personal, reason, reference } },
    { claims: [claim] },
  );
  return { kind: 'append', events: [debited] };
}
