import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import {
  appSchema,
  definePackage,
  operationSchema,
  packageIdSchema,
  packageSchema,
  priceOperation,
  priceSchema,
} from '../../api/catalogue-schemas.ts';
import type { DefinePackage, PriceOperation } from '../../commands/catalogue-decider.ts';
import { MAX_OPERATIONS, MAX_PACKAGES } from '../../commands/catalogue.ts';
import { ConfigError } from '../../config.ts';

/** What a file says that the catalogue shall be. Without `packages` it says nothing about them. */
export type CatalogueFile = {
  readonly operations: readonly PriceOperation[];
  readonly packages: readonly DefinePackage[] | undefined;
};

// Strict, unlike requests: a name that is mistyped would leave a free allowance out of a price, and nobody would see it.
const fileSchema = z.strictObject({
  operations: z.array(z.strictObject({ app: appSchema, operation: operationSchema, ...priceSchema.shape })).max(MAX_OPERATIONS),
  packages: z
    .array(z.strictObject({ id: packageIdSchema, ...packageSchema.shape }))
    .max(MAX_PACKAGES)
    .optional(),
});

/** Reads a file of the catalogue. Throws ConfigError that names every fault by its path. */
export async function readCatalogueFile(path: string): Promise<CatalogueFile> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new ConfigError(`${path} can't be read: ${(error as Error).message}`);
  });
  return parseCatalogue(text, path);
}

/** What a text says that the catalogue shall be. `name` is what faults call it. */
export function parseCatalogue(text: string, name: string): CatalogueFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${name} is not JSON: ${(error as Error).message}`);
  }
  const parsed = fileSchema.safeParse(json);
  const faults = [...(parsed.error?.issues ?? []).map(faultOf), ...repeatedOperations(json), ...repeatedPackages(json)];
  if (!parsed.success || faults.length > 0) {
    throw new ConfigError([`${name} is not right:`, ...faults.map((fault) => `  ${fault}`)].join('\n'));
  }
  const { operations, packages } = parsed.data;
  return {
    operations: operations.map(({ app, operation, ...price }) => priceOperation(app, operation, price)),
    packages: packages?.map(({ id, ...sold }) => definePackage(id, sold)),
  };
}

function faultOf({ path, message }: z.core.$ZodIssue): string {
  return `${path.length === 0 ? 'the file' : path.join('.')}: ${message}`;
}

function repeatedOperations(json: unknown): readonly string[] {
  return repeated(json, 'operations', (entry) => JSON.stringify([entry['app'], entry['operation']]));
}

function repeatedPackages(json: unknown): readonly string[] {
  return repeated(json, 'packages', (entry) => JSON.stringify(entry['id']));
}

/** Of what is said twice it could not be told which is meant. Looks at what may have other faults, to name them together. */
function repeated(json: unknown, member: string, nameOf: (entry: Record<string, unknown>) => string): readonly string[] {
  const entries = (json as Record<string, unknown> | null)?.[member];
  if (!Array.isArray(entries)) return [];
  const first = new Map<string, number>();
  return entries.flatMap((entry: unknown, index) => {
    if (entry === null || typeof entry !== 'object') return [];
    const name = nameOf(entry as Record<string, unknown>);
    const before = first.get(name);
    if (before === undefined) first.set(name, index);
    return before === undefined ? [] : [`${member}.${index}: is the same as ${member}.${before}`];
  });
}
