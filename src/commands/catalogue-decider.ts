import { canonicalJson, type Json } from '../events/canonical.ts';
import type { CatalogueEvent, CatalogueEventOf } from '../events/catalogue-events.ts';
import {
  type Catalogue,
  evolve,
  findPackage,
  initialCatalogue,
  MAX_MODES,
  MAX_OPERATIONS,
  MAX_PACKAGES,
  modeOf,
  priceOf,
} from './catalogue.ts';
import { type Decider, type Decision, reject } from './decider.ts';
import type { Envelope, Outcome } from './write-path/envelope.ts';

/** Says what an operation of an app costs (micro-credits for `per` units), and what of it is free. */
export type PriceOperation = { readonly type: 'PriceOperation' } & CatalogueEventOf<'OperationPriced'>['data'];

/** Takes an operation out of the catalogue. */
export type RetireOperation = { readonly type: 'RetireOperation' } & CatalogueEventOf<'OperationRetired'>['data'];

/** Says what a package is: defines it, changes it, or sells it again. */
export type DefinePackage = { readonly type: 'DefinePackage' } & CatalogueEventOf<'PackageDefined'>['data'];

/** Sells a package no more. */
export type RetirePackage = { readonly type: 'RetirePackage' } & CatalogueEventOf<'PackageRetired'>['data'];

/** Says how an app is treated. */
export type SetAppMode = { readonly type: 'SetAppMode' } & CatalogueEventOf<'AppModeSet'>['data'];

/** Everything that can be asked of the catalogue. */
export type CatalogueCommand = PriceOperation | RetireOperation | DefinePackage | RetirePackage | SetAppMode;

/** What runs the commands of the catalogue. */
export type CatalogueCommands = { execute(envelope: Envelope<CatalogueCommand>): Promise<CatalogueOutcome> };

/** The answer to a command of the catalogue. */
export type CatalogueOutcome = Outcome<Catalogue, CatalogueEvent>;

/** All decisions of the catalogue. What is so already is not written again, so that an import may be repeated. */
export const catalogueDecider: Decider<Catalogue, CatalogueCommand, CatalogueEvent> = {
  initialState: initialCatalogue,
  evolve,
  // Nothing in a catalogue runs out.
  expire: () => undefined,
  decide,
  missingFacts: () => [],
  weigh: ({ operations, packages, modes }) => 1 + operations.length + packages.length + modes.length,
};

/** How much a catalogue weighs at the most. */
export const HEAVIEST_CATALOGUE = 1 + MAX_OPERATIONS + MAX_PACKAGES + MAX_MODES;

const UNCHANGED = { kind: 'unchanged' } as const;

function decide(command: CatalogueCommand, catalogue: Catalogue): Decision<CatalogueEvent> {
  switch (command.type) {
    case 'PriceOperation':
      return decidePriceOperation(command, catalogue);
    case 'RetireOperation':
      return decideRetireOperation(command, catalogue);
    case 'DefinePackage':
      return decideDefinePackage(command, catalogue);
    case 'RetirePackage':
      return decideRetirePackage(command, catalogue);
    case 'SetAppMode':
      return decideSetAppMode(command, catalogue);
    default:
      return command satisfies never;
  }
}

/** Refuses an operation beyond those that a catalogue holds. */
function decidePriceOperation(command: PriceOperation, catalogue: Catalogue): Decision<CatalogueEvent> {
  const { app, operation } = command;
  if (isPricedSo(catalogue, command)) return UNCHANGED;
  const isNew = priceOf(catalogue, app, operation) === undefined;
  if (isNew && catalogue.operations.length >= MAX_OPERATIONS) return tooMany('operations', MAX_OPERATIONS);
  return append({ type: 'OperationPriced', data: priceIn(command) });
}

/** Whether a price is what the catalogue says already. */
export function isPricedSo(catalogue: Catalogue, command: PriceOperation): boolean {
  const found = priceOf(catalogue, command.app, command.operation);
  return found !== undefined && isSame(priceIn(found), priceIn(command));
}

function priceIn({ app, cost, free, operation, per, unit }: Omit<PriceOperation, 'type'>): Omit<PriceOperation, 'type'> {
  return { app, cost, free: free && { period: free.period, uses: free.uses }, operation, per, unit };
}

/** Refuses what has no price. */
function decideRetireOperation({ app, operation }: RetireOperation, catalogue: Catalogue): Decision<CatalogueEvent> {
  if (priceOf(catalogue, app, operation) === undefined) return reject({ code: 'operation_not_found', app, operation });
  return append({ type: 'OperationRetired', data: { app, operation } });
}

/** Refuses a package beyond those that a catalogue holds. A retired one is sold again. */
function decideDefinePackage(command: DefinePackage, catalogue: Catalogue): Decision<CatalogueEvent> {
  if (isDefinedSo(catalogue, command)) return UNCHANGED;
  const isNew = findPackage(catalogue, command.id) === undefined;
  if (isNew && catalogue.packages.length >= MAX_PACKAGES) return tooMany('packages', MAX_PACKAGES);
  return append({ type: 'PackageDefined', data: packageIn(command) });
}

/** Whether a package is sold already as a command defines it. */
export function isDefinedSo(catalogue: Catalogue, command: DefinePackage): boolean {
  const found = findPackage(catalogue, command.id);
  return found !== undefined && found.active && isSame(packageIn(found), packageIn(command));
}

function packageIn(sold: Omit<DefinePackage, 'type'>): Omit<DefinePackage, 'type'> {
  const { credits, description, id, metadata, name, priceEuroCents, sortOrder, stripePriceId } = sold;
  return { credits, description, id, metadata, name, priceEuroCents, sortOrder, stripePriceId };
}

/** Refuses a package that there never was. */
function decideRetirePackage({ id }: RetirePackage, catalogue: Catalogue): Decision<CatalogueEvent> {
  const found = findPackage(catalogue, id);
  if (found === undefined) return reject({ code: 'package_not_found' });
  return found.active ? append({ type: 'PackageRetired', data: { id } }) : UNCHANGED;
}

/** Refuses to observe more apps than a catalogue holds. */
function decideSetAppMode({ app, mode }: SetAppMode, catalogue: Catalogue): Decision<CatalogueEvent> {
  if (modeOf(catalogue, app) === mode) return UNCHANGED;
  if (mode === 'observe' && catalogue.modes.length >= MAX_MODES) return tooMany('modes', MAX_MODES);
  return append({ type: 'AppModeSet', data: { app, mode } });
}

function append(event: CatalogueEvent): Decision<CatalogueEvent> {
  return { kind: 'append', events: [event] };
}

function tooMany(limit: string, maximum: number): Decision<CatalogueEvent> {
  return reject({ code: 'limit_exceeded', limit, maximum });
}

/** Whether two values are the same to the letter, in whichever order their members stand. */
function isSame(one: Json, other: Json): boolean {
  return canonicalJson(one) === canonicalJson(other);
}
