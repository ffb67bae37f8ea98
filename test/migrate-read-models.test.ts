import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { migrate } from '../src/migrate.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';

/* Read models of the version before: rows that lack what the new columns say. */

const FOLDER = join(import.meta.dirname, '..', 'migrations');
const MIGRATIONS = readdirSync(FOLDER)
  .toSorted()
  .map((file) => file.replace(/\.sql$/, ''));
const THIS = '0007-read-models';
const BEFORE = MIGRATIONS.filter((name) => name < THIS);

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase('template1');
  const { superuser } = database;
  for (const name of BEFORE) await superuser.query(readFileSync(join(FOLDER, `${name}.sql`), 'utf8'));
  // What the migrator remembers: https://kysely.dev/docs/migrations
  await superuser.query(`create table kysely_migration (name varchar(255) primary key, timestamp varchar(255) not null);
    create table kysely_migration_lock (id varchar(255) primary key, is_locked integer not null default 0);
    insert into kysely_migration_lock (id) values ('migration_lock')`);
  await superuser.query(`insert into kysely_migration select name, '2026-01-01' from unnest($1::text[]) as n (name)`, [BEFORE]);
  await superuser.query(`insert into read_model.checkpoints values ('account-ada', 7);
    update read_model.applied set position = 8;
    insert into read_model.grants values ('ada', 1, 'promo', 'r', 'r', 9, 5, 0, 50, null, now());
    insert into read_model.balances values ('ada', 7, 5, 0, 0, 9, 4, null, now(), now())`);
});

afterEach(() => database?.close());

const rowsOf = async (query: string) => (await database.superuser.query<Record<string, unknown>>(query)).rows;

it('are emptied, so that the log is projected anew; a balance stays, since it lacks nothing', async () => {
  expect(await migrate(database.url)).toEqual(MIGRATIONS.filter((name) => name >= THIS));
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
  expect(await migrate(database.url)).toContain(THIS);
});
