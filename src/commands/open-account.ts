import type { AccountEvent } from '../events/account-events.ts';
import { type Micro, plus, ZERO } from '../events/amounts.ts';
import { grantClaim } from '../events/claims.ts';
import type { Account } from './account.ts';
import { opening, withBalances, withinTotal } from './balances.ts';
import type { Decided, Decision, Facts } from './decider.ts';

/** Opens an account, and gives the configured signup grant once. May be repeated. */
export type OpenAccount = {
  readonly type: 'OpenAccount';
  /** Micro-credits; zero for none. */
  readonly signupGrant: Micro;
};

const SIGNUP = 'signup';
const SIGNUP_CLAIM = grantClaim(SIGNUP, SIGNUP);

/**
 * What was done before is left out; where all was, nothing is written. Never refused: a signup grant that would lift
 * the account too high is left out as well.
 */
export function decideOpenAccount(
  { signupGrant }: OpenAccount,
  account: Account,
  facts: Facts<AccountEvent>,
): Decision<AccountEvent> {
  const opened = opening();
  const first: Decided<AccountEvent>[] = account.status === 'unopened' ? [opened.event] : [];
  const open = account.status === 'unopened' ? opened.account : account;
  const { available, reserved, earned } = open.balances;
  const fits = withinTotal(earned, signupGrant) && withinTotal(plus(available, reserved), signupGrant);
  const given = open.signedUp || facts.claimed(SIGNUP_CLAIM) !== undefined;
  if (signupGrant > ZERO && !given && fits) {
    const grant = withBalances(
      open,
      {
        type: 'CreditsGranted',
        data: {
          amount: signupGrant,
          source: SIGNUP,
          reason: SIGNUP,
          reference: SIGNUP,
          priority: 50,
          expiresAt: null,
          appId: null,
          personal: null,
        },
      },
      { claims: [SIGNUP_CLAIM] },
    );
    return { kind: 'append', events: [...first, grant] };
  }
  return account.status === 'unopened' ? { kind: 'append', events: [opened.event] } : { kind: 'unchanged' };
}
