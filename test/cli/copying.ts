import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import type { Store } from '../../src/events/store.ts';
import { credits } from '../support/account-samples.ts';
import { createTestDatabase, type TestDatabase, testStore } from '../support/database.ts';
import { openLedger } from '../support/ledger.ts';
import { useManyTimes } from '../support/long-account.ts';

/* Logs to copy from and databases to copy to. */

/** Uses of the one long account. */
const MANY = 1_200;

/** A log with a life behind it, a copy of its own for each test, and how many events and streams it has. */
export type SourceLog = {
  readonly database: TestDatabase;
  readonly store: Store;
  readonly events: number;
  readonly streams: number;
};

/** Writes a log through the real write path, once for a file. Returns what makes a copy of it for a test. */
export function useSourceLog(many = MANY): () => Promise<SourceLog> {
  let original: TestDatabase | undefined;
  let events = 0;
  beforeAll(async () => {
    original = await createTestDatabase();
    const ledger = await openLedger(original.url);
    const lot = await ledger.account('long').grant(credits(100));
    for (const user of ['ada', 'bob', 'eve', 'ünal/ö']) {
      const account = ledger.account(user);
      await account.grant(credits(100));
      const hold = await account.reserve(credits(10));
      await account.commit(hold.revision, credits(4));
      await account.release((await account.reserve(credits(3))).revision);
    }
    await useManyTimes(ledger.context.store, { user: 'long', lot: lot.revision, count: many });
    await ledger.account('ada').use(credits(1));
    await ledger.close();
    // An opening and a grant each; a hold and what settled it, twice; a use.
    events = 2 * 5 + 4 * 4 + many + 1;
    // What somebody is connected to can't be copied.
    await original.superuser.end();
  }, 60_000);
  afterAll(async () => {
    await original?.close();
  });
  return async () => {
    if (original === undefined) throw new Error('the tests do not run yet');
    const database = await createTestDatabase(new URL(original.url).pathname.slice(1));
    return { database, store: storeOn(database), events, streams: 5 };
  };
}

/** An empty database, removed with the test. */
export async function emptyDatabase(): Promise<{ readonly database: TestDatabase; readonly store: Store }> {
  const database = await createTestDatabase();
  return { database, store: storeOn(database) };
}

/** The database and what is connected to it go with the test. */
function storeOn(database: TestDatabase): Store {
  const { store, close } = testStore(database.url);
  onTestFinished(async () => {
    await close();
    await database.close();
  });
  return store;
}

/** All that a log in Postgres holds, stream by stream: events to the letter, claims, links and heads. */
export async function contentOf({ superuser }: TestDatabase): Promise<unknown> {
  const all = async (columns: string, table: string) =>
    (
      await superuser.query<object>(
        `select s.name, ${columns} from ledger.${table} x join ledger.streams s on s.id = x.stream_id order by s.name, ${columns}`,
      )
    ).rows;
  return {
    heads: (await superuser.query<object>('select name, revision, hash from ledger.streams where revision >= 0 order by name'))
      .rows,
    events: await all('x.revision, x.id, x.type, x.data, x.metadata, x.hash', 'events'),
    claims: await all('x.claim, x.revision', 'claims'),
    links: await all('x.about, x.revision', 'links'),
  };
}

/** That two logs hold the same. */
export async function expectSame(one: TestDatabase, other: TestDatabase): Promise<void> {
  expect(await contentOf(other)).toEqual(await contentOf(one));
}

export async function countEvents({ superuser }: TestDatabase): Promise<number> {
  const { rows } = await superuser.query<{ count: string }>('select count(*) from ledger.events');
  return Number(rows[0]?.count);
}

/** Runs a statement with all triggers off. */
export async function tamper({ superuser }: TestDatabase, statement: string, values: readonly unknown[] = []): Promise<void> {
  await superuser.query('begin');
  await superuser.query('set local session_replication_role = replica');
  await superuser.query(statement, [...values]);
  await superuser.query('commit');
}

/** What a command said on standard error but for how far it has come, which it says every few seconds. */
export function withoutProgress(stderr: string): string {
  return stderr.replace(/^(copying|comparing|indexing): \d+ % .*\n/gm, '');
}
