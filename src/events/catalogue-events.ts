import { z } from 'zod';
import type { Micro } from './amounts.ts';

/**
 * The events of the stream `catalogue`: what operations cost, what is sold, and how apps are treated. Who changed what
 * and when stands in each event's metadata. Amounts are micro-credits. A change is a new version, as in account-events.ts.
 */

const amountSchema = z.custom<Micro>((value) => Number.isSafeInteger(value) && (value as number) >= 0, 'micro-credits expected');

const operationPricedSchema = z.object({
  app: z.string(),
  operation: z.string(),
  /** Micro-credits for `per` units. */
  cost: amountSchema,
  per: z.int().positive(),
  /** What a unit is called, null for a use. */
  unit: z.string().nullable(),
  /** So many times `per` units are free in each period of each account. */
  free: z.object({ uses: z.int().positive(), period: z.enum(['day', 'month', 'lifetime']) }).nullable(),
});

const operationRetiredSchema = z.object({ app: z.string(), operation: z.string() });

const packageDefinedSchema = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  credits: amountSchema,
  priceEuroCents: z.int().positive(),
  stripePriceId: z.string().nullable(),
  sortOrder: z.int(),
  metadata: z.record(z.string(), z.json()),
});

const packageRetiredSchema = z.object({ id: z.string() });

/** `observe`: an app is never refused, what isn't covered is only recorded. */
const appModeSetSchema = z.object({ app: z.string(), mode: z.enum(['enforce', 'observe']) });

/** Every type of event in the catalogue, with the schema of its newest version. */
export const catalogueSchemas = {
  OperationPriced: operationPricedSchema,
  OperationRetired: operationRetiredSchema,
  PackageDefined: packageDefinedSchema,
  PackageRetired: packageRetiredSchema,
  AppModeSet: appModeSetSchema,
} as const;

/** An event of the catalogue: its type, and the data that goes with it. */
export type CatalogueEvent = {
  [Type in keyof typeof catalogueSchemas]: { readonly type: Type; readonly data: z.infer<(typeof catalogueSchemas)[Type]> };
}[keyof typeof catalogueSchemas];

/** One type of event of the catalogue. */
export type CatalogueEventOf<Type extends CatalogueEvent['type']> = Extract<CatalogueEvent, { type: Type }>;

/** The one stream of the catalogue. */
export const CATALOGUE_STREAM = 'catalogue';
