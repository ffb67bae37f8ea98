import { z } from 'zod';
import type { Micro } from './amounts.ts';

/**
 * The events of `account-{userId}`: the storage contract. Amounts are micro-credits; `lots` are pairs
 * `[revision of the grant, amount]` in the order in which they were touched. Each event carries the balances after it,
 * so that an answer is a function of its event alone. A field is never taken away or given another meaning: a change
 * is a new version with an upcaster (event-types.ts) and a fixture in test/fixtures/events.
 */

const amountSchema = z.custom<Micro>((value) => Number.isSafeInteger(value) && (value as number) >= 0, 'micro-credits expected');
const timeSchema = z.iso.datetime();
const revisionSchema = z.int().nonnegative();
const lotsSchema = z.array(z.tuple([revisionSchema, amountSchema])).readonly();

const balancesSchema = z.object({
  /** What can be spent. */
  available: amountSchema,
  /** What open holds keep. */
  reserved: amountSchema,
  /** What is owed: every later inflow pays it first. */
  debt: amountSchema,
  /** All that ever came in. */
  earned: amountSchema,
  /** All that was ever consumed. */
  spent: amountSchema,
  /** When the next hold or lot runs out, null when none does. */
  dueAt: timeSchema.nullable(),
});

/** Ciphertext of what names or describes a person, or of the caller's own words; see personal.ts. */
const personalSchema = z.string().nullable();

const openedSchema = z.object({ after: balancesSchema });

const grantedSchema = z.object({
  amount: amountSchema,
  source: z.enum(['promo', 'signup', 'goodwill', 'adjustment', 'purchase', 'gift']),
  reason: z.string(),
  reference: z.string(),
  /** 1 (spent first) to 100. */
  priority: z.int().min(1).max(100),
  expiresAt: timeSchema.nullable(),
  appId: z.string().nullable(),
  personal: personalSchema,
  after: balancesSchema,
});

const reservedSchema = z.object({
  amount: amountSchema,
  lots: lotsSchema,
  expiresAt: timeSchema,
  operation: z.string().nullable(),
  appId: z.string().nullable(),
  personal: personalSchema,
  after: balancesSchema,
});

const consumedSchema = z.object({
  /** What was taken, in all. */
  amount: amountSchema,
  /** The hold that this settles, null for a consumption without one. */
  reservation: revisionSchema.nullable(),
  /** What was taken of what the hold still kept: nothing where it had run out, or where there was none. */
  fromHold: lotsSchema,
  /** What was taken of what could be spent. */
  fromAvailable: lotsSchema,
  /** What was held and not taken: back in its lots. */
  returned: lotsSchema,
  /** What was held, not taken, and whose lot had run out meanwhile. */
  lapsed: lotsSchema,
  operation: z.string().nullable(),
  appId: z.string().nullable(),
  personal: personalSchema,
  after: balancesSchema,
});

const releasedSchema = z.object({
  reservation: revisionSchema,
  /** What the hold kept, in all: nothing where it had run out. */
  amount: amountSchema,
  returned: lotsSchema,
  lapsed: lotsSchema,
  personal: personalSchema,
  after: balancesSchema,
});

const expiredSchema = z.object({
  /** Holds that ran out, `[revision of the hold, amount]` by due time. */
  holds: lotsSchema,
  /** What they kept, back in its lots. */
  returned: lotsSchema,
  /** Then lots that ran out, `[revision of the grant, amount]` by due time. */
  lots: lotsSchema,
  after: balancesSchema,
});

/** Every type of event in an account's stream, with the schema of its newest version. */
export const accountSchemas = {
  AccountOpened: openedSchema,
  CreditsGranted: grantedSchema,
  CreditsReserved: reservedSchema,
  CreditsConsumed: consumedSchema,
  ReservationReleased: releasedSchema,
  Expired: expiredSchema,
} as const;

export type Balances = z.infer<typeof balancesSchema>;
export type LotAmounts = z.infer<typeof lotsSchema>;
export type GrantSource = z.infer<typeof grantedSchema>['source'];

/** An event of an account: its type, and the data that goes with it. */
export type AccountEvent = {
  [Type in keyof typeof accountSchemas]: { readonly type: Type; readonly data: z.infer<(typeof accountSchemas)[Type]> };
}[keyof typeof accountSchemas];

/** One type of event of an account. */
export type AccountEventOf<Type extends AccountEvent['type']> = Extract<AccountEvent, { type: Type }>;

const PREFIX = 'account-';

/** The name of a user's stream. */
export function accountStream(userId: string): string {
  return `${PREFIX}${userId}`;
}

/** The user whose account a stream is; undefined for another kind of stream. */
export function userOfStream(stream: string): string | undefined {
  return stream.startsWith(PREFIX) ? stream.slice(PREFIX.length) : undefined;
}
