import { LIVE, NEXT, PREVIOUS } from '../../projections/generations.ts';
import { type Cause, causesOf } from './causes.ts';
import { compareGenerations, inSnapshot } from './compare.ts';
import type { ColumnDifference, Difference } from './compare-page.ts';
import { RefusedError, standingOf } from './owner.ts';
import type { RebuildParts } from './parts.ts';

/** Columns with what people wrote, encrypted: nobody is shown it, in whatever form. */
const PERSONAL = ['personal'];

/**
 * Compares the live generation with the one beside it and shows the first `limit` differences, each with the events that
 * caused it. Returns whether there is none.
 */
export async function compare(parts: RebuildParts, { limit }: { readonly limit: number }): Promise<boolean> {
  const { pool, owner, store, say, progress } = parts;
  const { next, previous } = await standingOf(owner);
  if (!next && !previous) throw new RefusedError('There is nothing to compare with: `start` builds another generation.');
  const other = next ? NEXT : PREVIOUS;
  const all = await inSnapshot(pool, async (client) => {
    const { rows } = await client.query<{ count: string }>(`select count(*) as count from ${LIVE}.checkpoints`);
    return rows[0]?.count ?? '0';
  });
  const bar = progress('comparing', all);
  const comparison = await compareGenerations(pool, { other, limit, onProgress: (streams) => bar.at(String(streams)) }).finally(
    () => bar.stop(),
  );
  const { streams, unequal, count, differences } = comparison;
  for (const one of differences) {
    const { causes, more } = await causesOf(store, one);
    say(textOf(one, other, causes, more));
  }
  if (count > differences.length) say(`and ${count - differences.length} more`);
  if (unequal > 0) say(`${unequal} streams were not at the same revision in both, and are not compared.`);
  const found = count === 0 ? 'no difference' : count === 1 ? '1 row differs' : `${count} rows differ`;
  say(`Compared ${streams} streams of ${LIVE} with ${other}, row by row: ${found}.`);
  return count === 0;
}

function textOf({ table, key, live, other, columns }: Difference, name: string, causes: readonly Cause[], more: number): string {
  const place = Object.entries(key).map(([column, value]) => `${column}=${String(value)}`);
  const what = live === undefined ? `, missing in ${LIVE}` : other === undefined ? `, missing in ${name}` : '';
  const lines = causes.map(
    ({ stream, revision, type, at }) => `  by ${stream}@${revision} ${type}${at === null ? '' : ` at ${at}`}`,
  );
  if (more > 0) lines.splice(1, 0, `  by ${more} more events`);
  if (lines.length === 0) lines.push('  by no event that the log holds');
  const shown = what === '' ? columns.map((column) => columnText(column, name)) : [];
  return [`${table} ${place.join(' ')}${what}`, ...shown, ...lines].join('\n');
}

function columnText({ column, live, other }: ColumnDifference, name: string): string {
  if (PERSONAL.includes(column)) return `  ${column}: differs (not shown)`;
  return `  ${column}: ${live ?? 'null'} in ${LIVE}, ${other ?? 'null'} in ${name}`;
}
