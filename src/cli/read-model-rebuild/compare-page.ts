import pg from 'pg';
import { LIVE, type OtherGeneration } from '../../projections/generations.ts';
import { type ModelName, MODELS, MODEL_NAMES, type Row } from './tables.ts';

/** A column of a row in which two generations differ, as Postgres writes it down; null where it is null, or the row missing. */
export type ColumnDifference = { readonly column: string; readonly live: string | null; readonly other: string | null };

/** A row that isn't the same in two generations; undefined in the one that lacks it. */
export type Difference = {
  readonly table: ModelName;
  readonly key: Row;
  readonly stream: string;
  readonly live: Row | undefined;
  readonly other: Row | undefined;
  readonly columns: readonly ColumnDifference[];
};

type DifferenceRow = {
  readonly live: Row | null;
  readonly other: Row | null;
  readonly columns: readonly (readonly [string, string | null, string | null])[];
  readonly count: string;
};

/**
 * Holds the rows of some streams in one generation against those in another, in the caller's snapshot. Returns how many
 * differ, and the first `limit` of them.
 */
export async function comparePage(
  client: pg.ClientBase,
  { other, streams, keys }: { other: OtherGeneration; streams: readonly string[]; keys: ReadonlyMap<string, readonly string[]> },
  limit: number,
): Promise<{ readonly count: number; readonly differences: readonly Difference[] }> {
  let count = 0;
  const differences: Difference[] = [];
  for (const table of MODEL_NAMES) {
    const { column, valueOf, streamOf } = MODELS[table];
    const values = streams.flatMap((stream) => valueOf(stream) ?? []);
    if (values.length === 0) continue;
    const key = keys.get(table) ?? [];
    const { rows } = await client.query<DifferenceRow>(
      differencesIn({ table, other, key, whose: column === undefined ? '' : `where ${column} = any ($2)` }),
      // One row tells how many there are.
      [Math.max(limit - differences.length, 1), ...(column === undefined ? [] : [values])],
    );
    count += Number(rows[0]?.count ?? 0);
    for (const row of rows.slice(0, Math.max(limit - differences.length, 0))) {
      const seen = row.live ?? row.other ?? {};
      differences.push({
        table,
        key: Object.fromEntries(key.map((name) => [name, seen[name]])),
        stream: streamOf(seen),
        live: row.live ?? undefined,
        other: row.other ?? undefined,
        columns: row.columns.map(([name, live, theirs]) => ({ column: name, live, other: theirs })),
      });
    }
  }
  return { count, differences };
}

/** Rows are compared as records: bit for bit, null being the same as null. */
function differencesIn(wanted: { table: string; other: OtherGeneration; key: readonly string[]; whose: string }): string {
  const { table, other, key, whose } = wanted;
  const names = key.map((name) => pg.escapeIdentifier(name)).join(', ');
  return `select to_jsonb(l) as live, to_jsonb(o) as other, d.columns, count(*) over () as count
    from (select * from ${LIVE}.${table} ${whose}) l
    full join (select * from ${other}.${table} ${whose}) o using (${names})
    cross join lateral (
      select jsonb_agg(jsonb_build_array(key, a.value, b.value) order by key) as columns
      from jsonb_each_text(to_jsonb(l)) a full join jsonb_each_text(to_jsonb(o)) b using (key)
      where a.value is distinct from b.value
    ) d
    where l is distinct from o order by ${names} limit $1`;
}
