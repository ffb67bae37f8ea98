import {
  type CatalogueCommand,
  type DefinePackage,
  isDefinedSo,
  isPricedSo,
  type PriceOperation,
} from '../../commands/catalogue-decider.ts';
import { type Catalogue, findPackage, type PricedOperation, priceOf, type SoldPackage } from '../../commands/catalogue.ts';
import { formatCredits } from '../../events/amounts.ts';
import type { CatalogueFile } from './read-file.ts';

/** Something in which a file and the catalogue differ: how it is shown, and the command that makes it as the file says. */
export type Change = { readonly line: string; readonly command: CatalogueCommand };

export type Difference = {
  readonly added: readonly Change[];
  readonly changed: readonly Change[];
  /** In the catalogue and not in the file; the command retires it. */
  readonly missing: readonly Change[];
  readonly unchanged: number;
};

/** In what a file and a catalogue differ, in the order of the file. */
export function differenceOf(file: CatalogueFile, catalogue: Catalogue): Difference {
  const operations = operationsOf(file, catalogue);
  const packages = packagesOf(file, catalogue);
  return {
    added: [...operations.added, ...packages.added],
    changed: [...operations.changed, ...packages.changed],
    missing: [...operations.missing, ...packages.missing],
    unchanged: operations.unchanged + packages.unchanged,
  };
}

function operationsOf(file: CatalogueFile, catalogue: Catalogue): Difference {
  const named = new Set(file.operations.map(({ app, operation }) => JSON.stringify([app, operation])));
  const others = file.operations.filter((command) => !isPricedSo(catalogue, command));
  const changes = others.map((command) => ({ command, before: priceOf(catalogue, command.app, command.operation) }));
  return {
    ...sorted(changes, operationName, operationFields),
    missing: catalogue.operations
      .filter(({ app, operation }) => !named.has(JSON.stringify([app, operation])))
      .map((one) => ({
        line: whole(operationName(one), operationFields(one)),
        command: { type: 'RetireOperation', app: one.app, operation: one.operation },
      })),
    unchanged: file.operations.length - others.length,
  };
}

function packagesOf({ packages }: CatalogueFile, catalogue: Catalogue): Difference {
  if (packages === undefined) return { added: [], changed: [], missing: [], unchanged: 0 };
  const named = new Set(packages.map(({ id }) => id));
  const others = packages.filter((command) => !isDefinedSo(catalogue, command));
  const changes = others.map((command) => ({ command, before: findPackage(catalogue, command.id) }));
  return {
    ...sorted(changes, packageName, packageFields),
    missing: catalogue.packages
      .filter(({ id, active }) => active && !named.has(id))
      .map((one) => ({
        line: whole(packageName(one), packageFields(one)),
        command: { type: 'RetirePackage', id: one.id },
      })),
    unchanged: packages.length - others.length,
  };
}

type Fields = { readonly [name: string]: string };

/** What is new, and what is there in another way: of that only what changes is shown. */
function sorted<Command extends CatalogueCommand, Before>(
  changes: readonly { readonly command: Command; readonly before: Before | undefined }[],
  nameOf: (command: Command) => string,
  fieldsOf: (said: Command | Before) => Fields,
): Pick<Difference, 'added' | 'changed'> {
  const added: Change[] = [];
  const changed: Change[] = [];
  for (const { command, before } of changes) {
    const now = fieldsOf(command);
    if (before === undefined) added.push({ command, line: whole(nameOf(command), now) });
    else changed.push({ command, line: `${nameOf(command)}: ${movesOf(fieldsOf(before), now).join(', ')}` });
  }
  return { added, changed };
}

function movesOf(before: Fields, now: Fields): readonly string[] {
  return Object.keys(now)
    .filter((name) => before[name] !== now[name])
    .map((name) => `${name} ${before[name]} → ${now[name]}`);
}

function whole(name: string, fields: Fields): string {
  const said = Object.entries(fields).filter(([, value]) => value !== NONE);
  return `${name}: ${said.map(([field, value]) => `${field} ${value}`).join(', ')}`;
}

const NONE = 'none';

function operationName({ app, operation }: Pick<PricedOperation, 'app' | 'operation'>): string {
  return `operation ${app}/${operation}`;
}

function operationFields({ cost, per, unit, free }: PriceOperation | PricedOperation): Fields {
  return {
    cost: formatCredits(cost),
    per: String(per),
    unit: unit ?? NONE,
    free: free === null ? NONE : `${free.uses} ${free.period}`,
  };
}

function packageName({ id }: Pick<SoldPackage, 'id'>): string {
  return `package ${id}`;
}

function packageFields(sold: DefinePackage | SoldPackage): Fields {
  const { name, description, credits, priceEuroCents, stripePriceId, sortOrder, metadata } = sold;
  return {
    sold: 'active' in sold && !sold.active ? 'no' : 'yes',
    credits: formatCredits(credits),
    cents: String(priceEuroCents),
    name: JSON.stringify(name),
    description: description === null ? NONE : JSON.stringify(description),
    stripePriceId: stripePriceId ?? NONE,
    sortOrder: String(sortOrder),
    metadata: Object.keys(metadata).length === 0 ? NONE : JSON.stringify(metadata),
  };
}
