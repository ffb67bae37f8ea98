import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { killAll, startChild } from './children.ts';

/* What `npm run api`, `worker` and `migrate` say of a DATABASE_URL that is wrong: one line that names it. */

let empty: TestDatabase;

beforeAll(async () => {
  empty = await createTestDatabase('template1');
});

afterAll(async () => {
  killAll();
  await empty?.close();
});

function changed(changes: { readonly pathname?: string; readonly username?: string; readonly password?: string }): string {
  return Object.assign(new URL(empty.url), changes).href;
}

async function saysOf(url: string, entry: string): Promise<string> {
  const child = startChild({ args: ['--import', 'tsx', entry], env: { DATABASE_URL: url, PORT: '0' } });
  expect(await child.ended()).toEqual({ code: 1, signal: null });
  return child.stderr();
}

describe('a process that cannot start', { timeout: 60_000 }, () => {
  it.each([
    ['src/server.ts', ''],
    ['src/worker.ts', ''],
    ['src/cli/migrate.ts', 'the migration failed: '],
  ])('%s names the DATABASE_URL where its database is not there', async (entry, before) => {
    const said = await saysOf(changed({ pathname: '/mana_test_nothing' }), entry);
    expect(said).toBe(`${before}Postgres refuses the DATABASE_URL (database "mana_test_nothing" does not exist).\n`);
  });

  it('names it where the user or the password is wrong, and tells none of it', async () => {
    const said = await saysOf(changed({ password: 'not-the-password' }), 'src/server.ts');
    expect(said).toMatch(/^Postgres refuses the DATABASE_URL \(password authentication failed for user "[a-z]+"\)\.\n$/);
    expect(said).not.toContain('not-the-password');
  });

  it('tells what to do where the database was never migrated', async () => {
    // The cause is why, and no more than a missing table.
    expect(await saysOf(empty.url, 'src/server.ts')).toMatch(/^the database is not migrated: run `npm run migrate`/);
  });
});
