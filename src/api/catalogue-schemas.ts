import { z } from 'zod';
import type { DefinePackage, PriceOperation } from '../commands/catalogue-decider.ts';
import { amountSchema, callerMetadataSchema, creditsSchema, labelSchema, positiveAmountSchema, textSchema } from './schemas.ts';
import { appIdSchema } from './service-callers.ts';

/*
 * The catalogue as it comes over the wire, and in files that are imported. Amounts are credits outside and micro-credits
 * here. Bounds are such that every product of a price stays exact.
 */

const MOST_UNITS = 1_000_000_000;
const MOST_FREE_USES = 1_000_000;
/** The most that Stripe takes at once. */
const MOST_CENTS = 99_999_999;

/** The app that an operation belongs to, as credentials name apps. */
export const appSchema = appIdSchema;

export const operationSchema = labelSchema;

export const packageIdSchema = labelSchema;

/** What an operation costs. */
export const priceSchema = z.object({
  cost: amountSchema,
  per: z.int().min(1).max(MOST_UNITS).default(1).meta({ description: 'So many units cost that much' }),
  unit: labelSchema.nullish().meta({ description: 'What a unit is called' }),
  free: z
    .object({ uses: z.int().min(1).max(MOST_FREE_USES), period: z.enum(['day', 'month', 'lifetime']) })
    .nullish()
    .meta({ description: 'So many uses are free in each period (UTC) of each account' }),
});

/** What a package is. */
export const packageSchema = z.object({
  name: textSchema(128, 1),
  description: textSchema(1_000).nullish(),
  credits: positiveAmountSchema,
  priceEuroCents: z.int().min(1).max(MOST_CENTS),
  stripePriceId: textSchema(255, 1).nullish(),
  sortOrder: z.int().min(-1_000_000).max(1_000_000).default(0),
  metadata: callerMetadataSchema.nullish(),
  active: z
    .literal(true, { error: 'must be true: a package is retired by DELETE' })
    .nullish()
    .meta({ description: 'What is defined is sold' }),
});

/** The command that makes a package what was said of it. */
export function definePackage(id: string, sold: z.infer<typeof packageSchema>): DefinePackage {
  const { name, description = null, credits, priceEuroCents, stripePriceId = null, sortOrder } = sold;
  // JSON all through, as it was parsed.
  const metadata = (sold.metadata ?? {}) as DefinePackage['metadata'];
  return { type: 'DefinePackage', id, name, description, credits, priceEuroCents, stripePriceId, sortOrder, metadata };
}

/** The command that gives an operation its price. */
export function priceOperation(app: string, operation: string, price: z.infer<typeof priceSchema>): PriceOperation {
  const { cost, per, unit = null, free = null } = price;
  return { type: 'PriceOperation', app, operation, cost, per, unit, free };
}

export const modeSchema = z.enum(['enforce', 'observe']);

export const operationAnswer = z.object({
  app: z.string(),
  operation: z.string(),
  cost: creditsSchema.meta({ description: 'Credits for `per` units' }),
  per: z.number(),
  unit: z.string().nullable(),
  free: z.object({ uses: z.number(), period: z.string() }).nullable(),
  revision: z.number(),
});

export const packageAnswer = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  credits: creditsSchema,
  priceEuroCents: z.number(),
  stripePriceId: z.string().nullable(),
  active: z.boolean(),
  sortOrder: z.number(),
  metadata: z.record(z.string(), z.unknown()),
});

export const modeAnswer = z.object({ app: z.string(), mode: modeSchema });
