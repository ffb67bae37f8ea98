import { afterAll, beforeAll, expect, it } from 'vitest';
import { pino } from 'pino';
import { readConfig } from '../src/config.ts';
import { createContext } from '../src/context.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';

/* What a process that can't start is told: a database that was never migrated, or what Postgres says itself. */

const STRANGER = 'mana_test_stranger';

let empty: TestDatabase;
let migrated: TestDatabase;

beforeAll(async () => {
  empty = await createTestDatabase('template1');
  migrated = await createTestDatabase();
  await migrated.superuser.query(`create role ${STRANGER} login password '${STRANGER}'`);
});

afterAll(async () => {
  await migrated?.superuser.query(`drop role if exists ${STRANGER}`);
  await migrated?.close();
  await empty?.close();
});

const start = (url: string) => createContext(readConfig({ DATABASE_URL: url }), { log: pino({ level: 'silent' }) });

function changed(url: string, changes: { readonly pathname?: string; readonly username?: string; readonly password?: string }) {
  return Object.assign(new URL(url), changes).href;
}

it('says of a database that was never migrated that it was not', async () => {
  await expect(start(empty.url)).rejects.toThrow('the database is not migrated: run `npm run migrate`');
});

it('says of a database that is not there what Postgres says', async () => {
  await expect(start(changed(migrated.url, { pathname: '/mana_test_nothing' }))).rejects.toMatchObject({
    code: '3D000',
    message: 'database "mana_test_nothing" does not exist',
  });
});

it('says of a user who is not there what Postgres says', async () => {
  await expect(start(changed(migrated.url, { username: 'mana_test_nobody' }))).rejects.toMatchObject({ code: '28P01' });
});

it('says of a user who may not take the service’s role what Postgres says', async () => {
  await expect(start(changed(migrated.url, { username: STRANGER, password: STRANGER }))).rejects.toMatchObject({
    code: '42501',
    message: 'permission denied to set role "mana_credits_service"',
  });
});
