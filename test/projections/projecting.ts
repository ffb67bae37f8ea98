import { deepEqual } from 'node:assert/strict';
import type pg from 'pg';
import type { Context } from '../../src/context.ts';
import { START } from '../../src/events/store.ts';
import { project, type Signal } from '../../src/projections/project.ts';

type Parts = Pick<Context, 'db' | 'store'>;

/** Every read model, with the checkpoints that belong to it. */
const TABLES = [
  'balances',
  'transactions',
  'reservations',
  'grants',
  'usage_stats',
  'journal',
  'packages',
  'checkpoints',
] as const;

/** Each stream of the log at its head, in the order in which they appeared. */
export async function heads({ store }: Pick<Context, 'store'>): Promise<readonly Signal[]> {
  const revisions = new Map<string, number>();
  let position = START;
  for (;;) {
    const events = await store.readAll({ after: position, limit: 1_000 });
    const last = events.at(-1);
    if (last === undefined) return [...revisions].map(([stream, revision]) => ({ stream, revision }));
    for (const event of events) revisions.set(event.stream, event.revision);
    position = last.position;
  }
}

/** Applies signals to their end, as a projector does. Returns how many events were applied. */
export async function projectFully({ db, store }: Parts, signals: readonly Signal[]): Promise<number> {
  let applied = 0;
  for (let open = signals; open.length > 0; ) {
    const result = await project(db, store, open);
    applied += result.applied;
    open = result.unfinished;
  }
  return applied;
}

/** Applies all of a stream, so many events in a transaction. */
export async function projectInCuts(parts: Parts, stream: string, together: number): Promise<void> {
  const head = (await heads(parts)).find((one) => one.stream === stream)?.revision ?? -1;
  for (let revision = -1; revision < head; ) {
    revision = Math.min(revision + together, head);
    await projectFully(parts, [{ stream, revision }]);
  }
}

/** All rows of the read models as Postgres writes them down, to the last bit. */
export async function readModelRows(superuser: pg.Client): Promise<Readonly<Record<string, readonly string[]>>> {
  const found: Record<string, readonly string[]> = {};
  for (const table of TABLES) {
    const { rows } = await superuser.query<{ row: string }>(`select t::text as row from read_model.${table} t order by 1`);
    found[table] = rows.map(({ row }) => row);
  }
  return found;
}

/** Empties the read models, as if nothing had ever been applied. */
async function emptyReadModels(superuser: pg.Client): Promise<void> {
  await superuser.query(`truncate ${TABLES.map((table) => `read_model.${table}`).join(', ')}, read_model.parked`);
}

/** How many rows are told of a table that is not as it should be. */
const ROWS_TOLD = 10;

/**
 * Folds the whole log into empty tables, so many events of a stream in a transaction, and returns what the read models
 * had that the fold doesn't make (`+`), and what they lacked (`-`): rows as Postgres writes them down, to the last bit,
 * a few of each table. The folded rows stay.
 */
export async function differencesFromFold(parts: Parts, superuser: pg.Client, together = 500): Promise<readonly string[]> {
  for (const table of TABLES) await superuser.query(`create temp table found_${table} as table read_model.${table}`);
  await emptyReadModels(superuser);
  let behind = await heads(parts);
  for (let to = together - 1; behind.length > 0; to += together) {
    await projectFully(
      parts,
      behind.map(({ stream, revision }) => ({ stream, revision: Math.min(revision, to) })),
    );
    behind = behind.filter(({ revision }) => revision > to);
  }
  const differences: string[] = [];
  for (const table of TABLES) {
    const [found, folded] = [`select t::text as row from found_${table} t`, `select t::text as row from read_model.${table} t`];
    const more = await superuser.query<{ row: string }>(`${found} except all ${folded} limit ${ROWS_TOLD}`);
    const less = await superuser.query<{ row: string }>(`${folded} except all ${found} limit ${ROWS_TOLD}`);
    differences.push(...more.rows.map(({ row }) => `${table} + ${row}`), ...less.rows.map(({ row }) => `${table} - ${row}`));
    await superuser.query(`drop table found_${table}`);
  }
  return differences;
}

/** Holds the read models against a fold of the whole log into empty tables: bit for bit the same. The folded rows stay. */
export async function expectAsFolded(parts: Parts, superuser: pg.Client, together = 500): Promise<void> {
  deepEqual(await differencesFromFold(parts, superuser, together), []);
}
