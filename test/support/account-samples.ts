import type { Movement } from '../../src/commands/account.ts';
import type { CommitReservation } from '../../src/commands/commit-reservation.ts';
import type { GrantCredits } from '../../src/commands/grant-credits.ts';
import type { RefundConsumption } from '../../src/commands/refund-consumption.ts';
import type { ReserveCredits } from '../../src/commands/reserve-credits.ts';
import type { UseCredits } from '../../src/commands/use-credits.ts';
import type { AccountEventOf, Balances, LotAmounts } from '../../src/events/account-events.ts';
import { type Micro, micro } from '../../src/events/amounts.ts';
import { grantClaim } from '../../src/events/claims.ts';

/** Events and commands of an account with sensible values, so that a test says only what it is about. */

/** An event of an account as a test writes it down. */
export type Sample = Movement & {
  /** The balances after it, zero where not named. In `given` they may be left out altogether. */
  readonly after?: Partial<Balances>;
  readonly about: readonly number[];
  readonly claims: readonly string[];
  /** The app that made it. */
  readonly by?: string;
};

type DataOf<Type extends Movement['type']> = Omit<AccountEventOf<Type>['data'], 'after'>;
type Around = { readonly after?: Partial<Balances>; readonly by?: string };

/** Whole credits in micro-credits. */
export function credits(amount: number): Micro {
  return micro(amount * 1_000_000);
}

/** When the samples begin, in ms since 1970. */
export const START = Date.parse('2026-11-02T10:00:00.000Z');
const MINUTE = 60_000;

/** So many minutes after START, in ms since 1970. */
export function minute(count: number): number {
  return START + count * MINUTE;
}

/** A time in ms since 1970 as events hold it. */
export function iso(time: number): string {
  return new Date(time).toISOString();
}

export function opened(after?: Partial<Balances>): Sample {
  return { type: 'AccountOpened', data: {}, about: [], claims: [], ...(after && { after }) };
}

export function granted({ after, by, ...data }: Partial<DataOf<'CreditsGranted'>> & { amount: Micro } & Around): Sample {
  const whole = {
    source: 'promo',
    reason: 'welcome',
    reference: 'r1',
    priority: 50,
    expiresAt: null,
    appId: null,
    personal: null,
    ...data,
  } as const;
  return {
    type: 'CreditsGranted',
    data: whole,
    about: [],
    claims: [grantClaim(whole.reason, whole.reference)],
    ...around(after, by),
  };
}

export function reserved({
  after,
  by,
  ...data
}: Partial<DataOf<'CreditsReserved'>> & { amount: Micro; lots: LotAmounts } & Around): Sample {
  const whole = { expiresAt: iso(minute(15)), operation: 'chat', appId: 'label', personal: null, ...data };
  return { type: 'CreditsReserved', data: whole, about: [], claims: [], ...around(after, by) };
}

export function consumed({ after, by, ...data }: Partial<DataOf<'CreditsConsumed'>> & { amount: Micro } & Around): Sample {
  const whole = {
    reservation: null,
    fromHold: [],
    fromAvailable: [],
    returned: [],
    lapsed: [],
    operation: 'chat',
    appId: 'label',
    personal: null,
    ...data,
  };
  const about = whole.reservation === null ? [] : [whole.reservation];
  return { type: 'CreditsConsumed', data: whole, about, claims: [], ...around(after, by) };
}

export function released({
  after,
  by,
  ...data
}: Partial<DataOf<'ReservationReleased'>> & { reservation: number; amount: Micro } & Around): Sample {
  const whole = { returned: [], lapsed: [], personal: null, ...data };
  return { type: 'ReservationReleased', data: whole, about: [whole.reservation], claims: [], ...around(after, by) };
}

export function expired({ after, ...data }: Partial<DataOf<'Expired'>> & Pick<Around, 'after'>): Sample {
  const whole = { holds: [], returned: [], lots: [], ...data };
  return {
    type: 'Expired',
    data: whole,
    about: whole.holds.map(([revision]) => revision),
    claims: [],
    ...around(after, 'system'),
  };
}

export function refunded({
  after,
  by,
  ...data
}: Partial<DataOf<'CreditsRefunded'>> & { consumption: number; amount: Micro } & Around): Sample {
  const whole = {
    refunded: data.amount,
    restored: [],
    reopened: [],
    app: 'writer',
    operation: 'chat',
    appId: 'label',
    personal: null,
    ...data,
  };
  return { type: 'CreditsRefunded', data: whole, about: [whole.consumption], claims: [], ...around(after, by) };
}

function around(after: Partial<Balances> | undefined, by: string | undefined): Around {
  return { ...(after && { after }), ...(by !== undefined && { by }) };
}

export function grant(what: Partial<GrantCredits> & { amount: Micro }): GrantCredits {
  return {
    type: 'GrantCredits',
    source: 'promo',
    reason: 'welcome',
    reference: 'r1',
    priority: 50,
    expiresAt: null,
    appId: null,
    personal: null,
    ...what,
  };
}

export function reserve(what: Partial<ReserveCredits> & { amount: Micro }): ReserveCredits {
  return { type: 'ReserveCredits', ttl: 15 * MINUTE, operation: 'chat', appId: 'label', personal: null, ...what };
}

export function use(amount: Micro): UseCredits {
  return { type: 'UseCredits', amount, operation: 'chat', appId: 'label', personal: null };
}

export function commit(
  reservation: number,
  amount: Micro | null = null,
  onExpired: CommitReservation['onExpired'] = 'available',
): CommitReservation {
  return { type: 'CommitReservation', reservation, amount, onExpired, personal: null };
}

export function refund(consumption: number, amount: Micro): RefundConsumption {
  return { type: 'RefundConsumption', consumption, amount, appId: null, personal: null };
}
