import { z } from 'zod';
import { type Micro, ZERO } from './amounts.ts';

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
  /** What is left of frozen grants: theirs, and not to be spent. */
  frozen: amountSchema.default(ZERO),
  /** What open holds keep. */
  reserved: amountSchema,
  /** What is owed: every later inflow pays it first. */
  debt: amountSchema,
  /** All that ever came in. */
  earned: amountSchema,
  /** All that was ever consumed and not refunded. */
  spent: amountSchema,
  /** When the next hold or lot runs out, null when none does. */
  dueAt: timeSchema.nullable(),
});

/** Ciphertext of what names or describes a person, or of the caller's own words; see personal.ts. */
const personalSchema = z.string().nullable();

/** The price in force when it was charged, as the catalogue had it at a revision. `cost` micro-credits for `per` units. */
const priceSchema = z.object({
  app: z.string(),
  operation: z.string(),
  cost: amountSchema,
  per: z.int().positive(),
  quantity: z.int().positive(),
  revision: revisionSchema,
});

/** Units that a free allowance covered, none where it is used up, and of which period: `2026-11-21` of a day, `2026-11` of a month, `` of all time. */
const freeSchema = z.object({
  app: z.string(),
  operation: z.string(),
  period: z.enum(['day', 'month', 'lifetime']),
  key: z.string(),
  units: z.int().nonnegative(),
  /** What was left of the allowance after the use, in units. */
  remaining: z.int().nonnegative(),
});

// Optional fields came with version 2: absent, they say that there is nothing of the kind.
/** What went, of what this event brought, to pay what was owed. */
const debtPaidSchema = lotsSchema.optional();
/** What was held of grants that were frozen meanwhile, and not taken: back in them, frozen. */
const toFrozenSchema = lotsSchema.optional();

const openedSchema = z.object({ after: balancesSchema });

const grantedSchema = z.object({
  amount: amountSchema,
  source: z.enum(['promo', 'signup', 'goodwill', 'adjustment', 'purchase', 'gift']),
  reason: z.string(),
  reference: z.string(),
  /** 1 (spent first) to 100. */
  priority: z.int().min(1).max(100),
  expiresAt: timeSchema.nullable(),
  /** What was paid for it, in euro cents, where it was bought. */
  paidCents: z.int().nonnegative().optional(),
  appId: z.string().nullable(),
  personal: personalSchema,
  debtPaid: debtPaidSchema,
  after: balancesSchema,
});

const reservedSchema = z.object({
  /** What is held, in all. */
  amount: amountSchema,
  lots: lotsSchema,
  /** What was asked for and not covered, for an app that is only observed. */
  uncovered: amountSchema.optional(),
  price: priceSchema.optional(),
  free: freeSchema.optional(),
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
  toFrozen: toFrozenSchema,
  /** What was held, not taken, and whose lot had run out meanwhile. */
  lapsed: lotsSchema,
  /** What was used and not covered, by an app that is only observed: nobody pays it. */
  uncovered: amountSchema.optional(),
  price: priceSchema.optional(),
  free: freeSchema.optional(),
  operation: z.string().nullable(),
  appId: z.string().nullable(),
  personal: personalSchema,
  debtPaid: debtPaidSchema,
  after: balancesSchema,
});

const releasedSchema = z.object({
  reservation: revisionSchema,
  /** What the hold kept, in all: nothing where it had run out. */
  amount: amountSchema,
  returned: lotsSchema,
  toFrozen: toFrozenSchema,
  lapsed: lotsSchema,
  /** Units of a free allowance that the hold kept: back in their period. */
  free: freeSchema.optional(),
  personal: personalSchema,
  debtPaid: debtPaidSchema,
  after: balancesSchema,
});

const expiredSchema = z.object({
  /** Holds that ran out, `[revision of the hold, amount]` by due time. */
  holds: lotsSchema,
  /** What they kept, back in its lots. */
  returned: lotsSchema,
  toFrozen: toFrozenSchema,
  /** Then lots that ran out, `[revision of the grant, amount]` by due time. */
  lots: lotsSchema,
  debtPaid: debtPaidSchema,
  after: balancesSchema,
});

/** How a lot is spent that was let go and comes back. */
const termsSchema = z.object({ priority: z.int().min(1).max(100), expiresAt: timeSchema.nullable() });

const refundedSchema = z.object({
  /** What came back, in all. */
  amount: amountSchema,
  /** The consumption that this takes back, wholly or in part. */
  consumption: revisionSchema,
  /** What of it came back so far, this included. */
  refunded: amountSchema,
  /** Back in the lots it was taken from, the last taken first. */
  restored: lotsSchema,
  /** Likewise, in lots that were frozen meanwhile. */
  toFrozen: lotsSchema.optional(),
  /** The lots among them that nothing was left of, each with the revision of its grant. */
  reopened: z.array(termsSchema.extend({ revision: revisionSchema, frozen: z.boolean() })).readonly(),
  /** What was taken from lots that have run out or were revoked meanwhile: a lot of its own, named by this event. */
  fresh: termsSchema.extend({ amount: amountSchema }).optional(),
  /** Units of a free allowance that the consumption took: back in their period. */
  free: freeSchema.optional(),
  /** The app that consumed. */
  app: z.string(),
  operation: z.string().nullable(),
  appId: z.string().nullable(),
  personal: personalSchema,
  debtPaid: debtPaidSchema,
  after: balancesSchema,
});

const debitedSchema = z.object({
  amount: amountSchema,
  /** What the credits went into: a stream of its own takes them up. */
  reason: z.enum(['gift_created', 'pool_funded']),
  reference: z.string(),
  lots: lotsSchema,
  appId: z.string().nullable(),
  personal: personalSchema,
  after: balancesSchema,
});

/** What every event about a grant says of it, so that the last one says it all. */
const aboutGrantSchema = z.object({
  /** The revision of the event that made the lot: a grant, or a refund into a fresh one. */
  grant: revisionSchema,
  /** What it gave. */
  granted: amountSchema,
  /** What of that was revoked so far, this included. */
  revoked: amountSchema,
  /** Its end as it is now: a new one where the old one passed while it was frozen, and it no longer is. */
  expiresAt: timeSchema.nullable(),
});

const frozenSchema = aboutGrantSchema.extend({
  /** What was left of it to spend. What open holds keep of it stays theirs. */
  amount: amountSchema,
  /** Where nothing was left of it: how it is spent when something comes back. */
  reopened: termsSchema.optional(),
  /** Why: a dispute's id, say. */
  reference: z.string(),
  after: balancesSchema,
});

const unfrozenSchema = aboutGrantSchema.extend({
  /** What can be spent again. */
  amount: amountSchema,
  reference: z.string(),
  debtPaid: debtPaidSchema,
  after: balancesSchema,
});

const revokedSchema = aboutGrantSchema.extend({
  /** What is taken back: of the grant itself, then of what can be spent, and what then is left is owed. */
  amount: amountSchema,
  /** Taken of the grant while it is frozen. */
  fromFrozen: amountSchema,
  /** Taken of what can be spent, of the grant itself first. */
  fromAvailable: lotsSchema,
  debt: amountSchema,
  /** What can be spent again of a frozen grant that is revoked altogether: refunds brought it more than was left to revoke. */
  unfrozen: amountSchema.optional(),
  source: grantedSchema.shape.source,
  reference: z.string(),
  debtPaid: debtPaidSchema,
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
  CreditsRefunded: refundedSchema,
  CreditsDebited: debitedSchema,
  GrantFrozen: frozenSchema,
  GrantUnfrozen: unfrozenSchema,
  GrantRevoked: revokedSchema,
} as const;

export type Balances = z.infer<typeof balancesSchema>;
export type LotAmounts = z.infer<typeof lotsSchema>;
export type Price = z.infer<typeof priceSchema>;
export type FreeUnits = z.infer<typeof freeSchema>;
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
