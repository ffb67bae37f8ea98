import type { AccountEvent } from '../events/account-events.ts';
import { type Micro, ZERO } from '../events/amounts.ts';
import { grantClaim } from '../events/claims.ts';
import type { Account } from './account.ts';
import { opening, withBalances } from './balances.ts';
import type { Decided, Decision } from './decider.ts';

/** Opens an account, and gives the configured signup grant once. May be repeated. */
export type OpenAccount = {
  readonly type: 'OpenAccount';
  /** Micro-credits; zero for none. */
  readonly signupGrant: Micro;
};

const SIGNUP = 'signup';

/** What was done before is left out; where all was, nothing is written. Never refused. */
export function decideOpenAccount({ signupGrant }: OpenAccount, account: Account): Decision<AccountEvent> {
  const opened = opening();
  const first: Decided<AccountEvent>[] = account.status === 'unopened' ? [opened.event] : [];
  const open = account.status === 'unopened' ? opened.account : account;
  if (signupGrant > ZERO && !open.signedUp) {
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
      { claims: [grantClaim(SIGNUP, SIGNUP)] },
    );
    return { kind: 'append', events: [...first, grant] };
  }
  return account.status === 'unopened' ? { kind: 'append', events: [opened.event] } : { kind: 'unchanged' };
}
