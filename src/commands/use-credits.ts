import type { AccountEvent } from '../events/account-events.ts';
import type { Micro } from '../events/amounts.ts';
import type { Account } from './account.ts';
import { balancesOf, tooHigh, withBalances, withinTotal } from './balances.ts';
import { type Decision, reject } from './decider.ts';
import { cover } from './lots.ts';

/** Consumes credits in one step, without a hold. */
export type UseCredits = {
  readonly type: 'UseCredits';
  readonly amount: Micro;
  readonly operation: string | null;
  readonly appId: string | null;
  readonly personal: string | null;
};

/** Refuses what isn't covered. */
export function decideUseCredits(command: UseCredits, account: Account): Decision<AccountEvent> {
  const { amount, operation, appId, personal } = command;
  const { available, spent } = balancesOf(account);
  if (account.status === 'unopened' || available < command.amount) {
    return reject({ code: 'insufficient_credits', required: command.amount, available, operation: command.operation });
  }
  if (!withinTotal(spent, command.amount)) return tooHigh('totalSpent');
  const consumed = withBalances(account, {
    type: 'CreditsConsumed',
    data: {
      amount,
      appId,
      fromAvailable: cover(account.lots, command.amount),
      fromHold: [],
      lapsed: [],
      operation,
      personal,
      reservation: null,
      returned: [],
    },
  });
  return { kind: 'append', events: [consumed] };
}
