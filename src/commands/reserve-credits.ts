import type { AccountEvent } from '../events/account-events.ts';
import { minus } from '../events/amounts.ts';
import { type Account, MAX_HOLDS } from './account.ts';
import { balancesOf, opening, withBalances } from './balances.ts';
import { type Context, type Decided, type Decision, reject } from './decider.ts';
import { cover } from './lots.ts';
import { type Asked, chargeOf } from './price.ts';

/** Holds credits until they are consumed, released, or the hold runs out. */
export type ReserveCredits = {
  readonly type: 'ReserveCredits';
  readonly amount: Asked;
  /** An app that is only observed is never refused: what isn't covered is recorded, and not held. */
  readonly observed?: boolean;
  /** How long the hold lasts, in ms. */
  readonly ttl: number;
  readonly operation: string | null;
  readonly appId: string | null;
  readonly personal: string | null;
};

/** Refuses what isn't covered (unless the app is only observed), and more than MAX_HOLDS open holds. */
export function decideReserveCredits(command: ReserveCredits, account: Account, { now }: Context): Decision<AccountEvent> {
  const { ttl, operation, appId, personal, observed = false } = command;
  const opened = opening();
  const open = account.status === 'unopened' ? opened.account : account;
  const charge = chargeOf(command.amount, open, now);
  if ('code' in charge) return reject(charge);
  const { amount: asked, free, price } = charge;
  const { available } = balancesOf(account);
  if (!observed && (account.status === 'unopened' || available < asked)) {
    return reject({ code: 'insufficient_credits', required: asked, available, operation });
  }
  if (open.holds.length >= MAX_HOLDS) return reject({ code: 'limit_exceeded', limit: 'openHolds', maximum: MAX_HOLDS });
  const amount = available < asked ? available : asked;
  const reserved = withBalances(open, {
    type: 'CreditsReserved',
    data: {
      amount,
      appId,
      expiresAt: new Date(now + ttl).toISOString(),
      free,
      lots: cover(open.lots, amount),
      operation,
      personal,
      price,
      uncovered: amount < asked ? minus(asked, amount) : undefined,
    },
  });
  const first: Decided<AccountEvent>[] = account.status === 'unopened' ? [opened.event] : [];
  return { kind: 'append', events: [...first, reserved] };
}
