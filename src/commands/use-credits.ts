import type { AccountEvent } from '../events/account-events.ts';
import { minus } from '../events/amounts.ts';
import type { Account } from './account.ts';
import { balancesOf, opening, tooHigh, withBalances, withinTotal } from './balances.ts';
import { type Context, type Decided, type Decision, reject } from './decider.ts';
import { cover } from './lots.ts';
import { type Asked, chargeOf } from './price.ts';

/** Consumes credits in one step, without a hold. */
export type UseCredits = {
  readonly type: 'UseCredits';
  readonly amount: Asked;
  /** An app that is only observed is never refused: what isn't covered is recorded, and nobody pays it. */
  readonly observed?: boolean;
  readonly operation: string | null;
  readonly appId: string | null;
  readonly personal: string | null;
};

/** Refuses what isn't covered, and for an account that nobody opened everything, unless the app is only observed. */
export function decideUseCredits(command: UseCredits, account: Account, { now }: Context): Decision<AccountEvent> {
  const { operation, appId, personal, observed = false } = command;
  const opened = opening();
  const open = account.status === 'unopened' ? opened.account : account;
  const charge = chargeOf(command.amount, open, now);
  if ('code' in charge) return reject(charge);
  const { amount: asked, free, price } = charge;
  const { available, spent } = balancesOf(account);
  if (!observed && (account.status === 'unopened' || available < asked)) {
    return reject({ code: 'insufficient_credits', required: asked, available, operation });
  }
  const amount = available < asked ? available : asked;
  if (!withinTotal(spent, amount)) return tooHigh('totalSpent');
  const consumed = withBalances(open, {
    type: 'CreditsConsumed',
    data: {
      amount,
      appId,
      free,
      fromAvailable: cover(open.lots, amount),
      fromHold: [],
      lapsed: [],
      operation,
      personal,
      price,
      reservation: null,
      returned: [],
      uncovered: amount < asked ? minus(asked, amount) : undefined,
    },
  });
  const first: Decided<AccountEvent>[] = account.status === 'unopened' ? [opened.event] : [];
  return { kind: 'append', events: [...first, consumed] };
}
