import type { CatalogueEvent, CatalogueEventOf } from '../events/catalogue-events.ts';
import type { Evolvable } from './decider.ts';

/**
 * What operations cost, what is sold, and how apps are treated, folded from the stream `catalogue`. Sorted lists rather
 * than maps: they are copied with every event, and a snapshot is their JSON. Amounts are micro-credits.
 */
export type Catalogue = {
  /** By app and operation. */
  readonly operations: readonly PricedOperation[];
  /** By id. A retired one stays: whoever bought it is still told what it was. */
  readonly packages: readonly SoldPackage[];
  /** By app, those that are not treated like all others. */
  readonly modes: readonly AppMode[];
};

/** What an operation of an app costs, and the revision of the catalogue's event that says so. */
export type PricedOperation = CatalogueEventOf<'OperationPriced'>['data'] & { readonly revision: number };

/** A package, and the revision of the event that defined or retired it. `active`: whether it is sold. */
export type SoldPackage = CatalogueEventOf<'PackageDefined'>['data'] & { readonly active: boolean; readonly revision: number };

/** How an app is treated, and the revision of the event that says so. */
export type AppMode = CatalogueEventOf<'AppModeSet'>['data'] & { readonly revision: number };

/** `enforce`: what isn't covered is refused. `observe`: it is only recorded. */
export type Mode = AppMode['mode'];

export const initialCatalogue: Catalogue = { operations: [], packages: [], modes: [] };

/** Operations, packages (retired ones too) and apps in another mode than `enforce`, at the most. */
export const MAX_OPERATIONS = 10_000;
export const MAX_PACKAGES = 1_000;
export const MAX_MODES = 1_000;

/** The catalogue after an event. */
export function evolve(catalogue: Catalogue, event: Evolvable<CatalogueEvent>): Catalogue {
  const { operations, packages, modes } = catalogue;
  const { revision } = event;
  switch (event.type) {
    case 'OperationPriced': {
      const { app, operation } = event.data;
      return { operations: withItem(operations, { ...event.data, revision }, byOperation(app, operation)), packages, modes };
    }
    case 'OperationRetired':
      return { operations: withoutItem(operations, byOperation(event.data.app, event.data.operation)), packages, modes };
    case 'PackageDefined': {
      const sold = { ...event.data, active: true, revision };
      return { operations, packages: withItem(packages, sold, byId(event.data.id)), modes };
    }
    case 'PackageRetired': {
      const found = findPackage(catalogue, event.data.id);
      if (found === undefined) throw new Error(`PackageRetired of ${event.data.id}, which was never defined`);
      return { operations, packages: withItem(packages, { ...found, active: false, revision }, byId(event.data.id)), modes };
    }
    case 'AppModeSet': {
      const { app, mode } = event.data;
      // What is treated like all others takes no room.
      const after = mode === 'enforce' ? withoutItem(modes, byApp(app)) : withItem(modes, { app, mode, revision }, byApp(app));
      return { operations, packages, modes: after };
    }
    default:
      return event satisfies never;
  }
}

/** What an operation of an app costs (micro-credits for `per` units) and what of it is free; undefined where it has no price. */
export function priceOf({ operations }: Catalogue, app: string, operation: string): PricedOperation | undefined {
  return findItem(operations, byOperation(app, operation));
}

/** How an app is treated: `enforce` where nobody said otherwise. */
export function modeOf({ modes }: Catalogue, app: string): Mode {
  return findItem(modes, byApp(app))?.mode ?? 'enforce';
}

/** A package by its id, sold or retired; undefined where there never was one. */
export function findPackage({ packages }: Catalogue, id: string): SoldPackage | undefined {
  return findItem(packages, byId(id));
}

/** Below zero where an item stands before the one that is looked for, above where it stands behind it. */
type Place<Item> = (item: Item) => number;

function byOperation(app: string, operation: string): Place<PricedOperation> {
  return (item) => order(item.app, app) || order(item.operation, operation);
}

function byId(id: string): Place<SoldPackage> {
  return (item) => order(item.id, id);
}

function byApp(app: string): Place<AppMode> {
  return (item) => order(item.app, app);
}

/** By code units, the same on every machine. */
function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function findItem<Item>(items: readonly Item[], place: Place<Item>): Item | undefined {
  const item = items[indexOf(items, place)];
  return item !== undefined && place(item) === 0 ? item : undefined;
}

function withItem<Item>(items: readonly Item[], item: Item, place: Place<Item>): readonly Item[] {
  return items.toSpliced(indexOf(items, place), findItem(items, place) === undefined ? 0 : 1, item);
}

function withoutItem<Item>(items: readonly Item[], place: Place<Item>): readonly Item[] {
  return findItem(items, place) === undefined ? items : items.toSpliced(indexOf(items, place), 1);
}

/** Where an item stands in a sorted list, or would stand. */
function indexOf<Item>(items: readonly Item[], place: Place<Item>): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (place(items[middle] as Item) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
