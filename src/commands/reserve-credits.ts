import type { AccountEvent } from '../events/account-events.ts';
import type { Micro } from '../events/amounts.ts';
import { type Account, MAX_HOLDS } from './account.ts';
import { balancesOf, withBalances } from './balances.ts';
import { type Context, type Decision, reject } from './decider.ts';
import { cover } from './lots.ts';

/** Holds credits until they are consumed, released, or the hold runs out. */
export type ReserveCredits = {
  readonly type: 'ReserveCredits';
  readonly amount: Micro;
  /** How long the hold lasts, in ms. */
  readonly ttl: number;
  readonly operation: string | null;
  readonly appId: string | null;
  readonly personal: string | null;
};

/** Refuses what isn't covered, and more than MAX_HOLDS open holds. */
export function decideReserveCredits(command: ReserveCredits, account: Account, { now }: Context): Decision<AccountEvent> {
  const { amount, ttl, operation, appId, personal } = command;
  const { available } = balancesOf(account);
  if (account.status === 'unopened' || available < command.amount) {
    return reject({ code: 'insufficient_credits', required: command.amount, available, operation: command.operation });
  }
  if (account.holds.length >= MAX_HOLDS) return reject({ code: 'limit_exceeded', limit: 'openHolds', maximum: MAX_HOLDS });
  const lots = cover(account.lots, command.amount);
  const expiresAt = new Date(now + ttl).toISOString();
  const reserved = withBalances(account, {
    type: 'CreditsReserved',
    data: { amount, appId, expiresAt, lots, operation, personal },
  });
  return { kind: 'append', events: [reserved] };
}
