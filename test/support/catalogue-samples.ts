import type { CatalogueCommand, CatalogueOutcome, DefinePackage, PriceOperation } from '../../src/commands/catalogue-decider.ts';
import { randomUUID } from 'node:crypto';
import type { Context } from '../../src/context.ts';
import { CATALOGUE_STREAM } from '../../src/events/catalogue-events.ts';
import { micro } from '../../src/events/amounts.ts';
import { envelopeOf } from './random-commands.ts';

/** Commands of the catalogue with sensible values, so that a test says only what it is about. */

/** An image costs 10 credits, if not said otherwise. */
export function price(what: Partial<Omit<PriceOperation, 'type'>> = {}): PriceOperation {
  const usual = { app: 'picture', operation: 'image', cost: micro(10_000_000), per: 1, unit: null, free: null };
  return { type: 'PriceOperation', ...usual, ...what };
}

/** 500 credits for 4.99 €, if not said otherwise. */
export function sold(what: Partial<Omit<DefinePackage, 'type'>> = {}): DefinePackage {
  return {
    type: 'DefinePackage',
    id: 'small',
    name: 'Small',
    description: null,
    credits: micro(500_000_000),
    priceEuroCents: 499,
    stripePriceId: null,
    sortOrder: 1,
    metadata: {},
    ...what,
  };
}

/** Runs a command of the catalogue in a process, under a key of its own. */
export function change(
  { catalogueCommands }: Pick<Context, 'catalogueCommands'>,
  command: CatalogueCommand,
): Promise<CatalogueOutcome> {
  const id = randomUUID();
  return catalogueCommands.execute(envelopeOf(CATALOGUE_STREAM, command, { app: 'shop', key: id, commandId: id, body: {} }));
}
