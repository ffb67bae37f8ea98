import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase, type TestStore, testStore } from '../support/database.ts';
import { batchOf, claimOf, lastOf, newStream, plain, readToEnd, stored, written } from './contract/batches.ts';

/*
 * Nobody changes what is written. The role that the service's connections take has no right to, and triggers stop even
 * a superuser who forgets himself.
 */

let database: TestDatabase;
let test: TestStore;
const stream = newStream();

beforeAll(async () => {
  database = await createTestDatabase();
  test = testStore(database.url);
  await written(test.store, batchOf(stream, [{ claims: [claimOf('key')] }, { about: [0] }, {}]));
});

afterAll(async () => {
  await test.close();
  await database.close();
});

const COLUMNS = {
  events: ['type', 'data', 'metadata', 'position', 'revision', 'id', 'hash'],
  claims: ['claim', 'revision'],
  links: ['about', 'revision'],
  streams: ['name', 'revision', 'hash'],
} as const;
const TABLES = Object.keys(COLUMNS) as readonly (keyof typeof COLUMNS)[];

const removals = TABLES.flatMap((table) => [`delete from ledger.${table}`, `truncate ledger.${table}`]);
const changes = TABLES.flatMap((table) => COLUMNS[table].map((column) => `update ledger.${table} set ${column} = ${column}`));
const insertions = TABLES.map(
  (table) => `insert into ledger.${table} ${table === 'streams' ? 'overriding system value ' : ''}select * from ledger.${table}`,
);
const evasions = [
  'insert into ledger.streams (name, revision) values (gen_random_uuid()::text, -1)',
  'select * from ledger.streams for update',
  'alter table ledger.events disable trigger all',
  'drop trigger append_only on ledger.events',
  'drop table ledger.links',
  'create or replace function ledger.refuse_change() returns trigger language plpgsql as $$ begin return null; end $$',
  `set session_replication_role = 'replica'`,
  'alter role mana_credits_service superuser',
  'update ledger.secrets set value = value',
  'delete from ledger.secrets',
  'update ledger.personal_keys set key = null, erased_at = now()',
  'delete from ledger.personal_keys',
];

async function everything(): Promise<unknown> {
  const contents: Record<string, unknown>[][] = [];
  for (const table of TABLES) {
    const { rows } = await database.superuser.query<Record<string, unknown>>(`select * from ledger.${table} t order by t::text`);
    contents.push(rows);
  }
  return contents;
}

describe('the service', () => {
  it.each([...removals, ...changes, ...insertions, ...evasions])('is refused: %s', async (statement) => {
    const before = await everything();
    await expect(test.pool.query(statement)).rejects.toMatchObject({ code: '42501' });
    expect(await everything()).toEqual(before);
  });

  it('may read all of it, and append', async () => {
    const events = await test.store.readStream(stream, { limit: 10 });
    const next = await written(test.store, batchOf(stream, plain(1), lastOf(events)));
    expect(await readToEnd(test.store, '0')).toMatchObject([...events, ...stored(next)]);
  });
});

describe('the superuser', () => {
  const mutable = ['ledger.streams', 'ledger.links'];
  const stopped = [
    ...removals,
    ...changes.filter((statement) => !mutable.some((table) => statement.startsWith(`update ${table}`))),
  ];

  it.each(stopped)('is stopped by a trigger: %s', async (statement) => {
    const before = await everything();
    await expect(database.superuser.query(statement)).rejects.toThrow(/the log is append-only/);
    expect(await everything()).toEqual(before);
  });

  it.each([
    ['events_stream_revision', 'stream_id, revision, gen_random_uuid()'],
    ['events_id', 'stream_id, 1000, id'],
  ])('is stopped by %s from putting an event in twice', async (constraint, place) => {
    const copy = `insert into ledger.events select (select max(position) + 1 from ledger.events), ${place}, type, data, metadata, hash
      from ledger.events where position = 1`;
    await expect(database.superuser.query(copy)).rejects.toMatchObject({ code: '23505', constraint });
  });
});
