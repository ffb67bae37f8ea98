import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { migrate } from '../src/migrate.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';

/* What migrations make of read models of the version before. */

const FOLDER = join(import.meta.dirname, '..', 'migrations');
const MIGRATIONS = readdirSync(FOLDER)
  .toSorted()
  .map((file) => file.replace(/\.sql$/, ''));
const EMPTYING = '0007-read-models';
const JOURNAL = '0010-journal';

let database: TestDatabase;

/** A database as it was before a migration. */
async function databaseBefore(migration: string): Promise<TestDatabase> {
  const before = MIGRATIONS.filter((name) => name < migration);
  database = await createTestDatabase('template1');
  const { superuser } = database;
  for (const name of before) await superuser.query(readFileSync(join(FOLDER, `${name}.sql`), 'utf8'));
  // What the migrator remembers: https://kysely.dev/docs/migrations
  await superuser.query(`create table kysely_migration (name varchar(255) primary key, timestamp varchar(255) not null);
    create table kysely_migration_lock (id varchar(255) primary key, is_locked integer not null default 0);
    insert into kysely_migration_lock (id) values ('migration_lock')`);
  await superuser.query(`insert into kysely_migration select name, '2026-01-01' from unnest($1::text[]) as n (name)`, [before]);
  return database;
}

afterEach(() => database?.close());

const rowsOf = async (query: string) => (await database.superuser.query<Record<string, unknown>>(query)).rows;

describe('of which the rows lack what new columns say', () => {
  beforeEach(async () => {
    const { superuser } = await databaseBefore(EMPTYING);
    await superuser.query(`insert into read_model.checkpoints values ('account-ada', 7);
      update read_model.applied set position = 8;
      insert into read_model.grants values ('ada', 1, 'promo', 'r', 'r', 9, 5, 0, 50, null, now());
      insert into read_model.balances values ('ada', 7, 5, 0, 0, 9, 4, null, now(), now())`);
  });

  it('are emptied, so that the log is projected anew; a balance stays, since it lacks nothing', async () => {
    expect(await migrate(database.url)).toEqual(MIGRATIONS.filter((name) => name >= EMPTYING));
    expect(await rowsOf('select position from read_model.applied')).toEqual([{ position: '0' }]);
    expect(await rowsOf('select from read_model.checkpoints')).toEqual([]);
    expect(await rowsOf('select from read_model.grants')).toEqual([]);
    expect(await rowsOf('select user_id, available, frozen from read_model.balances')).toEqual([
      { user_id: 'ada', available: '5', frozen: '0' },
    ]);
  });

  it('are left alone while somebody routes, who would go on calling applied what he doesn’t know', async () => {
    // The lock of whoever routes, as src/workers/start.ts has it.
    await database.superuser.query('select pg_advisory_lock(7041852)');
    await expect(migrate(database.url)).rejects.toMatchObject({
      cause: expect.objectContaining({ message: expect.stringContaining('workers are running') as unknown }) as unknown,
    });
    expect(await rowsOf('select position from read_model.applied')).toEqual([{ position: '8' }]);
    await database.superuser.query('select pg_advisory_unlock(7041852)');
    expect(await migrate(database.url)).toContain(EMPTYING);
  });
});

it('keep the journal, of which each leg had a row', async () => {
  const { superuser, url } = await databaseBefore(JOURNAL);
  await superuser.query(`insert into read_model.journal values
    ('account-ada', 2, 1, 'consumed:it''s "quoted"', 4, '2026-01-02Z'), ('account-ada', 2, 0, 'available', -4, '2026-01-02Z'),
    ('account-ada', 1, 0, 'available', 9, '2026-01-01Z'), ('account-ada', 1, 1, 'source:promo', -9, '2026-01-01Z')`);
  expect(await migrate(url)).toEqual(MIGRATIONS.filter((name) => name >= JOURNAL));
  expect(await rowsOf('select revision, accounts, amounts, at from read_model.journal order by revision')).toEqual([
    { revision: '1', accounts: ['available', 'source:promo'], amounts: ['9', '-9'], at: new Date('2026-01-01') },
    { revision: '2', accounts: ['available', `consumed:it's "quoted"`], amounts: ['-4', '4'], at: new Date('2026-01-02') },
  ]);
});
