import { z } from 'zod';
import { type Catalogue, modeOf, priceOf } from '../../commands/catalogue.ts';
import type { Asked } from '../../commands/price.ts';
import type { Micro } from '../../events/amounts.ts';
import { appOf } from '../../events/metadata.ts';
import { type Caller, LEGACY_KEY_NAME } from '../access.ts';
import type { ApiParts } from '../parts.ts';
import { labelSchema, positiveAmountSchema } from '../schemas.ts';

/** The app of a credential that names none. */
const NO_APP = 'default';

/** What is asked for: an amount, or an operation (so many units of it) at the catalogue's price. */
export const chargeShape = {
  amount: positiveAmountSchema.nullish(),
  operation: labelSchema.nullish(),
  quantity: z.int().min(1).max(1_000_000_000).nullish(),
  appId: labelSchema.nullish(),
};

type ChargeBody = {
  readonly amount?: Micro | null | undefined;
  readonly operation?: string | null | undefined;
  readonly quantity?: number | null | undefined;
  readonly appId?: string | null | undefined;
};

/** With the other faults of a body, not only when there are none. */
export const WITH_OTHERS = { when: ({ value }: { readonly value: unknown }) => isObject(value) };

/** Says what is wrong with a charge's body: either an amount or an operation, and a quantity only of the latter. */
export function checkCharge({ amount, operation, quantity }: ChargeBody, context: z.RefinementCtx): void {
  const named = (operation ?? null) !== null;
  if ((amount ?? null) === null && !named) context.addIssue(faultIn('amount', 'is needed where no operation is named'));
  if ((amount ?? null) !== null && named) context.addIssue(faultIn('operation', 'must not be named beside an amount'));
  if ((quantity ?? null) !== null && !named) context.addIssue(faultIn('quantity', 'is only known of an operation'));
}

function faultIn(path: string, message: string): { code: 'custom'; path: string[]; message: string } {
  return { code: 'custom', path: [path], message };
}

/**
 * What a caller's body asks for. The price is that of the app which acts; a credential that names none, and a user, take
 * it from the label. An operation that the catalogue doesn't price for that app is refused by the account: only it knows
 * whether the key was used while there was a price. Throws 503 where the catalogue isn't at hand.
 */
export function chargeFrom({ catalogue }: ApiParts, caller: Caller, body: ChargeBody): { amount: Asked; observed: boolean } {
  const app = pricingApp(caller, body.appId ?? undefined);
  const { operation, quantity } = body;
  if (operation === undefined || operation === null) {
    return { amount: body.amount as Micro, observed: isObserved(catalogue.latest(), caller, app) };
  }
  const current = catalogue.current();
  const priced = priceOf(current, app, operation);
  if (priced === undefined) return { amount: { unpriced: true, app, operation }, observed: false };
  const { cost, per, free, revision } = priced;
  return {
    amount: { app, operation, cost, per, quantity: quantity ?? 1, revision, free },
    observed: isObserved(current, caller, app),
  };
}

/** Of which holds a caller's commit is only observed: as it was when they were made. */
export function observedHolds(
  catalogue: Catalogue,
  caller: Caller,
): { readonly observed: boolean; readonly observedLabels?: readonly string[] } {
  const observed = isObserved(catalogue, caller, appOf(caller.actor));
  if (!isOfOld(caller)) return { observed };
  return { observed, observedLabels: catalogue.modes.filter(({ mode }) => mode === 'observe').map(({ app }) => app) };
}

/** No label makes a user's use a thing that is only observed. */
function isObserved(catalogue: Catalogue, caller: Caller, app: string): boolean {
  return caller.role === null && modeOf(catalogue, app) === 'observe';
}

function pricingApp(caller: Caller, label: string | undefined): string {
  const app = appOf(caller.actor);
  return isOfOld(caller) || caller.actor.kind === 'user' ? (label ?? app) : app;
}

/** The key of old may name any app by a label; a key with an app of its own may not take another's. */
function isOfOld({ actor }: Caller): boolean {
  return actor.kind === 'service' && actor.key === LEGACY_KEY_NAME && appOf(actor) === NO_APP;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
