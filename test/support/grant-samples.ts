import type { Movement } from '../../src/commands/account.ts';
import type { DebitCredits } from '../../src/commands/debit-credits.ts';
import type { FreezeGrant } from '../../src/commands/freeze-grant.ts';
import type { RevokeGrant } from '../../src/commands/revoke-grant.ts';
import type { UnfreezeGrant } from '../../src/commands/unfreeze-grant.ts';
import type { AccountEventOf, Balances, LotAmounts } from '../../src/events/account-events.ts';
import { type Micro, ZERO } from '../../src/events/amounts.ts';
import { debitClaim } from '../../src/events/claims.ts';
import { consumed, credits, granted, opened, type Sample } from './account-samples.ts';

/** Samples, as in account-samples.ts, of what takes credits away and of what payments lead to. */

type DataOf<Type extends Movement['type']> = Omit<AccountEventOf<Type>['data'], 'after'>;
type After = { readonly after?: Partial<Balances> };

export function debited({
  after,
  ...data
}: Partial<DataOf<'CreditsDebited'>> & { amount: Micro; lots: LotAmounts } & After): Sample {
  const whole = { reason: 'gift_created', reference: 'ABC234', appId: null, personal: null, ...data } as const;
  const claims = [debitClaim(whole.reason, whole.reference)];
  return { type: 'CreditsDebited', data: whole, about: [], claims, ...(after && { after }) };
}

type About = { grant: number; granted: Micro };

export function frozen({ after, ...data }: Partial<DataOf<'GrantFrozen'>> & About & { amount: Micro } & After): Sample {
  const whole = { expiresAt: null, reference: 'dp_1', revoked: ZERO, ...data };
  return { type: 'GrantFrozen', data: whole, about: [whole.grant], claims: [], ...(after && { after }) };
}

export function unfrozen({ after, ...data }: Partial<DataOf<'GrantUnfrozen'>> & About & { amount: Micro } & After): Sample {
  const whole = { expiresAt: null, reference: 'dp_1', revoked: ZERO, ...data };
  return { type: 'GrantUnfrozen', data: whole, about: [whole.grant], claims: [], ...(after && { after }) };
}

export function revoked({
  after,
  ...data
}: Partial<DataOf<'GrantRevoked'>> & About & { amount: Micro; revoked: Micro } & After): Sample {
  const none = { debt: ZERO, expiresAt: null, fromAvailable: [], fromFrozen: ZERO };
  const whole = { ...none, reference: 'dp_1', source: 'purchase', ...data } as const;
  return { type: 'GrantRevoked', data: whole, about: [whole.grant], claims: [], ...(after && { after }) };
}

export function debit(amount: Micro, what: Partial<DebitCredits> = {}): DebitCredits {
  return { type: 'DebitCredits', amount, reason: 'gift_created', reference: 'ABC234', appId: null, personal: null, ...what };
}

export function freeze(grant: number): FreezeGrant {
  return { type: 'FreezeGrant', grant, reference: 'dp_1' };
}

export function unfreeze(grant: number): UnfreezeGrant {
  return { type: 'UnfreezeGrant', grant, reference: 'dp_1' };
}

export function revoke(grant: number, amount: Micro | null = null): RevokeGrant {
  return { type: 'RevokeGrant', grant, amount, reference: 'dp_1' };
}

/** Bought for a hundred credits at revision 1, ten of them consumed. */
export const BOUGHT_AND_USED: readonly Sample[] = [
  opened(),
  granted({ amount: credits(100), source: 'purchase' }),
  consumed({ amount: credits(10), fromAvailable: [[1, credits(10)]] }),
];

/** Ten are owed, since all that was bought is revoked, of which ninety were left; what `others` say came before that. */
export function owing(...others: readonly Sample[]): readonly Sample[] {
  const all = { granted: credits(100), amount: credits(100), revoked: credits(100) };
  return [...BOUGHT_AND_USED, ...others, revoked({ grant: 1, ...all, fromAvailable: [[1, credits(90)]], debt: credits(10) })];
}
