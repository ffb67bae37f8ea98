import type { AccountEvent, GrantSource } from '../events/account-events.ts';
import { type Micro, plus } from '../events/amounts.ts';
import { grantClaim } from '../events/claims.ts';
import { type Account, MAX_LOTS, type OpenAccount } from './account.ts';
import { opening, tooHigh, withBalances, withinTotal } from './balances.ts';
import { type Context, type Decided, type Decision, type Facts, reject } from './decider.ts';

/** Gives credits, once for each (reason, reference) of an account, whichever app asks. */
export type GrantCredits = {
  readonly type: 'GrantCredits';
  readonly amount: Micro;
  readonly source: GrantSource;
  readonly reason: string;
  readonly reference: string;
  /** 1 (spent first) to 100. */
  readonly priority: number;
  /** In ms since 1970, null for never. */
  readonly expiresAt: number | null;
  readonly appId: string | null;
  readonly personal: string | null;
};

/** The last moment that ISO 8601 writes with four digits of a year, in ms since 1970: events hold no other. */
const LATEST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** Refuses an end in the past, a total above the ledger's bound, and more than MAX_LOTS open lots, unless it was given before. */
export function decideGrantCredits(
  command: GrantCredits,
  account: Account,
  facts: Facts<AccountEvent>,
  { now }: Context,
): Decision<AccountEvent> {
  const claim = grantClaim(command.reason, command.reference);
  const given = facts.claimed(claim);
  if (given !== undefined) return { kind: 'unchanged', event: given };

  const { type: _, expiresAt, ...data } = command;
  const opened = opening();
  const open = account.status === 'unopened' ? opened.account : account;
  const refusal = refusalOf(command, open, now);
  if (refusal !== undefined) return { ...refusal, unless: [claim] };

  const grant = withBalances(
    open,
    { type: 'CreditsGranted', data: { ...data, expiresAt: expiresAt === null ? null : new Date(expiresAt).toISOString() } },
    { claims: [claim] },
  );
  const first: Decided<AccountEvent>[] = account.status === 'unopened' ? [opened.event] : [];
  return { kind: 'append', events: [...first, grant] };
}

function refusalOf({ amount, expiresAt }: GrantCredits, { balances, lots }: OpenAccount, now: number) {
  if (expiresAt !== null && expiresAt <= now) {
    return reject({ code: 'invalid', path: 'expiresAt', message: 'must lie in the future' });
  }
  if (expiresAt !== null && expiresAt > LATEST) {
    return reject({ code: 'invalid', path: 'expiresAt', message: 'must lie before the year 10000' });
  }
  const { available, reserved, earned } = balances;
  if (!withinTotal(earned, amount)) return tooHigh('totalEarned');
  if (!withinTotal(plus(available, reserved), amount)) return tooHigh('balance');
  // What somebody paid for is never refused; a purchase of its own comes with its own command.
  if (lots.length >= MAX_LOTS) return reject({ code: 'limit_exceeded', limit: 'openLots', maximum: MAX_LOTS });
  return undefined;
}
