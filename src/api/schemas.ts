import { z } from 'zod';
import { microFromCredits } from '../events/amounts.ts';
import type { Json } from '../events/canonical.ts';

/*
 * What comes over the wire. Amounts are JSON numbers of credits with at most six decimals and become micro-credits
 * here; texts that Postgres or a hash can't hold are refused here.
 */

const CREDITS = 'must be a number of credits from 0 to 1,000,000,000 with at most 6 decimals';

/** An amount of credits, zero included, as micro-credits. */
export const amountSchema = z
  .number()
  .transform((credits, context) => {
    const amount = microFromCredits(credits);
    if (amount === undefined) context.addIssue({ code: 'custom', message: CREDITS });
    return amount ?? z.NEVER;
  })
  .meta({ description: 'Credits, at most 6 decimals' });

/** An amount of credits above zero, as micro-credits. */
export const positiveAmountSchema = amountSchema.refine((amount) => amount > 0, 'must be more than 0');

/** Credits on their way out. */
export const creditsSchema = z.number().meta({ description: 'Credits, at most 6 decimals' });

// U+0000, or half of a surrogate pair.
const UNSTORABLE = /\0|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** A text of at most so many characters that can be stored. */
export function textSchema(maximum: number, minimum = 0) {
  return z
    .string()
    .min(minimum)
    .max(maximum)
    .refine((text) => !UNSTORABLE.test(text), 'must not hold U+0000 or half a surrogate pair');
}

/** Who an account belongs to. */
export const userIdSchema = textSchema(128, 1);

export const idempotencyKeySchema = textSchema(255, 1);

/** The label under which a caller files something. */
export const labelSchema = textSchema(64, 1);

const MAX_METADATA = 16 * 1024;

/** The caller's own notes: any JSON object up to 16 KiB. */
export const callerMetadataSchema = z
  .record(z.string(), z.unknown())
  .superRefine((metadata, context) => {
    const text = JSON.stringify(metadata);
    if (text.length > MAX_METADATA)
      context.addIssue({ code: 'custom', message: `must not be longer than ${MAX_METADATA} characters` });
    if (holdsUnstorable(metadata)) context.addIssue({ code: 'custom', message: 'must not hold U+0000 or half a surrogate pair' });
  })
  // What a body is parsed from is JSON all through.
  .transform((metadata) => metadata as { [key: string]: Json })
  .meta({ type: 'object', description: 'Any JSON object' });

function holdsUnstorable(value: unknown): boolean {
  if (typeof value === 'string') return UNSTORABLE.test(value);
  if (value === null || typeof value !== 'object') return false;
  return Object.entries(value).some(([key, member]) => UNSTORABLE.test(key) || holdsUnstorable(member));
}

const DEEPEST = 32;

/**
 * What is wrong with a body whatever its route: one that nests deeper than anybody needs, whom who folds it would run out
 * of stack for, and a number that JSON can write but no number can be (1e400).
 */
export function faultOfBody(body: unknown): { readonly path: string; readonly message: string } | undefined {
  if (isTooDeep(body)) return { path: 'body', message: `must not nest deeper than ${DEEPEST} levels` };
  if (isFinite(body)) return undefined;
  return { path: pathOfInfinite(body).join('.') || 'body', message: 'must not be a number beyond what a double can be' };
}

function isFinite(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  return value === null || typeof value !== 'object' || Object.values(value).every(isFinite);
}

function pathOfInfinite(value: unknown): readonly string[] {
  if (value === null || typeof value !== 'object') return [];
  const found = Object.entries(value).find(([, member]) => !isFinite(member));
  return found === undefined ? [] : [found[0], ...pathOfInfinite(found[1])];
}

function isTooDeep(value: unknown, levels = DEEPEST): boolean {
  if (value === null || typeof value !== 'object') return false;
  return levels === 0 || Object.values(value).some((member) => isTooDeep(member, levels - 1));
}

export const balanceSchema = z.object({
  userId: z.string(),
  balance: creditsSchema.meta({ description: 'What can be spent now, in credits' }),
  totalEarned: creditsSchema,
  totalSpent: creditsSchema,
  reserved: creditsSchema,
  debt: creditsSchema,
  currency: z.literal('mana'),
  expiring: z.array(z.object({ amount: creditsSchema, at: z.string() })),
  revision: z.number(),
});

export const transactionSchema = z.object({
  id: z.string(),
  userId: z.string(),
  type: z.string(),
  status: z.string(),
  amount: creditsSchema.meta({ description: 'Credits, negative for usage' }),
  balanceBefore: creditsSchema,
  balanceAfter: creditsSchema,
  appId: z.string().nullable(),
  description: z.string().nullable(),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  idempotencyKey: z.string().nullable(),
  createdAt: z.string(),
  completedAt: z.string().nullable(),
  operation: z.string().nullable(),
  revision: z.number(),
  quantity: z.number().optional().meta({ description: 'Units, where it was charged by a price' }),
  price: z.object({ cost: creditsSchema, per: z.number() }).optional().meta({ description: 'Credits for so many units' }),
  freeUnits: z.number().optional(),
  uncovered: creditsSchema.optional().meta({ description: 'What was used and nobody pays' }),
  relatedTransactionId: z.string().optional().meta({ description: 'What it gives back, or the grant that it is about' }),
  goodwill: z.boolean().optional().meta({ description: 'Given back without a usage' }),
});

/** What every error looks like. */
export const errorSchema = z.object({
  statusCode: z.number(),
  error: z.string(),
  message: z.string(),
  details: z.unknown().optional(),
  requestId: z.string(),
});
