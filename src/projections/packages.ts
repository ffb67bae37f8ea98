import { sql, type Transaction } from 'kysely';
import { canonicalJson } from '../events/canonical.ts';
import { type CatalogueEvent, type CatalogueEventOf, catalogueSchemas } from '../events/catalogue-events.ts';
import type { Micro } from '../events/amounts.ts';
import type { Recorded } from '../events/event-types.ts';
import { type BigintColumn, microOf, type NullableTimeColumn, rowsOf, type TimeColumn } from './columns.ts';
import type { ReadDatabase, ReadModels } from './database.ts';
import type { Events } from './events-of.ts';

export type PackagesTable = {
  id: string;
  revision: BigintColumn;
  name: string;
  description: string | null;
  credits: BigintColumn;
  price_euro_cents: BigintColumn;
  stripe_price_id: string | null;
  sort_order: BigintColumn;
  metadata: string;
  defined_at: TimeColumn;
  retired_at: NullableTimeColumn;
};

/** A package of credits as it is sold. `credits` in micro-credits. */
export type Package = {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly credits: Micro;
  readonly priceEuroCents: number;
  readonly stripePriceId: string | null;
  readonly active: boolean;
  readonly sortOrder: number;
  readonly metadata: Metadata;
};

type Metadata = CatalogueEventOf<'PackageDefined'>['data']['metadata'];

type PackageRow = {
  readonly id: string;
  readonly revision: number;
  readonly name: string;
  readonly description: string | null;
  readonly credits: Micro;
  readonly price_euro_cents: number;
  readonly stripe_price_id: string | null;
  readonly sort_order: number;
  readonly metadata: string;
  readonly defined_at: string;
  readonly retired_at: string | null;
};

type Retirement = Pick<PackageRow, 'id' | 'revision'> & { readonly retired_at: string };

const COLUMNS = {
  id: 'text',
  revision: 'bigint',
  name: 'text',
  description: 'text',
  credits: 'bigint',
  price_euro_cents: 'bigint',
  stripe_price_id: 'text',
  sort_order: 'bigint',
  metadata: 'text',
  defined_at: 'timestamptz',
  retired_at: 'timestamptz',
} as const;

const RETIREMENT = { id: 'text', revision: 'bigint', retired_at: 'timestamptz' } as const;

/** Writes what packages became: of each the last definition, and whether it was retired behind that. */
export async function applyPackages(tx: Transaction<ReadModels>, { all }: Events): Promise<void> {
  const { defined, retired } = changesBy(all);
  if (defined.length > 0) {
    const names = Object.keys(COLUMNS).filter((name) => name !== 'id');
    await sql`insert into packages (${sql.raw(Object.keys(COLUMNS).join(', '))})
      select * from ${rowsOf(defined, COLUMNS)}
      on conflict (id) do update set ${sql.raw(names.map((name) => `${name} = excluded.${name}`).join(', '))}`.execute(tx);
  }
  if (retired.length > 0) {
    await sql`update packages p set revision = r.revision, retired_at = r.retired_at
      from ${rowsOf(retired, RETIREMENT)} where p.id = r.id`.execute(tx);
  }
}

/** What some events do to packages, each of them once: those defined here, and those defined before and retired here. */
function changesBy(events: readonly Recorded[]): { readonly defined: PackageRow[]; readonly retired: Retirement[] } {
  const defined = new Map<string, PackageRow>();
  const retired = new Map<string, Retirement>();
  for (const event of events) {
    if (!isCatalogueEvent(event)) continue;
    const { revision } = event;
    const { at } = event.metadata;
    if (event.type === 'PackageDefined') {
      defined.set(event.data.id, definedRow(event));
      retired.delete(event.data.id);
    }
    if (event.type === 'PackageRetired') {
      const { id } = event.data;
      const row = defined.get(id);
      if (row === undefined) retired.set(id, { id, revision, retired_at: at });
      else defined.set(id, { ...row, revision, retired_at: at });
    }
  }
  return { defined: [...defined.values()], retired: [...retired.values()] };
}

function isCatalogueEvent(event: Recorded): event is Recorded<CatalogueEvent> {
  return Object.hasOwn(catalogueSchemas, event.type);
}

function definedRow({ revision, data, metadata }: Recorded<CatalogueEventOf<'PackageDefined'>>): PackageRow {
  const { id, name, description, credits, priceEuroCents, stripePriceId, sortOrder } = data;
  return {
    id,
    revision,
    name,
    description,
    credits,
    price_euro_cents: priceEuroCents,
    stripe_price_id: stripePriceId,
    sort_order: sortOrder,
    metadata: canonicalJson(data.metadata),
    defined_at: metadata.at,
    retired_at: null,
  };
}

/** The packages that are sold, by their order, then by id. */
export async function listPackages(db: ReadDatabase): Promise<readonly Package[]> {
  const rows = await db
    .selectFrom('packages')
    .selectAll()
    .where('retired_at', 'is', null)
    .orderBy('sort_order')
    // By code units, as the catalogue itself sorts.
    .orderBy(sql`id collate "C"`)
    .execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    description: row.description,
    credits: microOf(row.credits),
    priceEuroCents: Number(row.price_euro_cents),
    stripePriceId: row.stripe_price_id,
    active: row.retired_at === null,
    sortOrder: Number(row.sort_order),
    metadata: JSON.parse(row.metadata) as Metadata,
  }));
}
