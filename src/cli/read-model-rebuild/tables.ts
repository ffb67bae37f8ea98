import type pg from 'pg';
import { accountStream, userOfStream } from '../../events/account-events.ts';
import { CATALOGUE_STREAM } from '../../events/catalogue-events.ts';
import type { ReadModels } from '../../projections/database.ts';
import { FED_MARK, LIVE } from '../../projections/generations.ts';

/** What a generation has beside its read models. */
const BOOKS = ['checkpoints', 'parked', 'applied'] as const;

/** The tables of read models. */
export type ModelName = Exclude<keyof ReadModels, (typeof BOOKS)[number]>;

/** A row as JSON, its columns by name. */
export type Row = Readonly<Record<string, unknown>>;

/** Whose rows are: every row belongs to one stream. */
type Owner = {
  /** The column that says whose a row is; none where all belong to one stream. */
  readonly column: string | undefined;
  /** What stands in that column for a stream; undefined where the table has no rows of it. */
  readonly valueOf: (stream: string) => string | undefined;
  readonly streamOf: (row: Row) => string;
};

const BY_USER: Owner = {
  column: 'user_id',
  valueOf: userOfStream,
  streamOf: (row) => accountStream(String(row['user_id'])),
};
const BY_STREAM: Owner = { column: 'stream', valueOf: (stream) => stream, streamOf: (row) => String(row['stream']) };
const OF_CATALOGUE: Owner = {
  column: undefined,
  valueOf: (stream) => (stream === CATALOGUE_STREAM ? stream : undefined),
  streamOf: () => CATALOGUE_STREAM,
};

/** Every read model, and whose its rows are. */
export const MODELS: { readonly [Name in ModelName]: Owner } = {
  balances: BY_USER,
  transactions: BY_USER,
  reservations: BY_USER,
  grants: BY_USER,
  usage_stats: BY_USER,
  journal: BY_STREAM,
  packages: OF_CATALOGUE,
};

export const MODEL_NAMES = Object.keys(MODELS) as readonly ModelName[];

/** The columns that a table's rows are told apart by, in order. Throws where there is a table that nobody knows here. */
export async function keysOf(client: pg.ClientBase): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await client.query<{ name: string; key: readonly string[] }>(
    `select c.relname::text as name, array_agg(a.attname::text order by n.place) as key
     from pg_class c join pg_index i on i.indrelid = c.oid and i.indisprimary
     cross join unnest(i.indkey::int[]) with ordinality as n (number, place)
     join pg_attribute a on a.attrelid = c.oid and a.attnum = n.number
     where c.relnamespace = $1::regnamespace and c.relkind = 'r' group by c.relname`,
    [LIVE],
  );
  const known: readonly string[] = [...BOOKS, ...MODEL_NAMES, FED_MARK];
  for (const { name } of rows) if (!known.includes(name)) throw new Error(`nobody has said whose the rows of ${name} are`);
  return new Map(rows.map(({ name, key }) => [name, key]));
}
