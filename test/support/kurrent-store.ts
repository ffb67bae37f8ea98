import { afterAll, afterEach, beforeAll } from 'vitest';
import { servicePool } from '../../src/database.ts';
import { openKurrentStore } from '../../src/events/kurrent/store.ts';
import type { Store } from '../../src/events/store.ts';
import type { StoreUnderTest } from '../events/store-contract.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { type KurrentDouble, startKurrentDouble } from './kurrent/double.ts';

type Opened = Awaited<ReturnType<typeof openKurrentStore>>;

/** Opens a store on a server, under a prefix of a test database's own, which keeps what the server can't. */
export async function openTestStore(
  url: string,
  databaseUrl: string,
  onTrouble: (what: string, error: unknown) => void = () => undefined,
): Promise<Opened> {
  const pool = servicePool(databaseUrl, 'kurrent store', 8);
  const prefix = `${new URL(databaseUrl).pathname.slice(1)}.`;
  try {
    const { store, close } = await openKurrentStore({ url, prefix, pool, onTrouble });
    return {
      store,
      async close() {
        await close();
        await pool.end();
      },
    };
  } catch (error) {
    await pool.end();
    throw error;
  }
}

/** A double, a database and a store on both for all tests of a file; faults end with each test. For when the tests run. */
export function useDouble(): { readonly server: KurrentDouble; readonly database: TestDatabase; readonly store: Store } {
  let made: { server: KurrentDouble; database: TestDatabase; opened: Opened } | undefined;
  const there = () => {
    if (made === undefined) throw new Error('the tests do not run yet');
    return made;
  };
  beforeAll(async () => {
    const [server, database] = await Promise.all([startKurrentDouble(), createTestDatabase()]);
    made = { server, database, opened: await openTestStore(server.url, database.url) };
  });
  afterEach(() => there().server.faults.clear());
  afterAll(async () => {
    await made?.opened.close();
    await made?.database.close();
    await made?.server.close();
  });
  return {
    get server() {
      return there().server;
    },
    get database() {
      return there().database;
    },
    get store() {
      return there().opened.store;
    },
  };
}

/** A server that tests share, or that is theirs alone. */
export type Server = { readonly url: string; close(): Promise<void> };

/** The server at EVENTSTORE_URL where there is one, or else a double of one's own. Whoever calls closes it. */
export async function serverForTests(): Promise<Server> {
  const url = process.env['EVENTSTORE_URL'];
  return url === undefined ? startKurrentDouble() : { url, close: async () => undefined };
}

/** The store for the contract's tests. */
export async function kurrentSubject(): Promise<StoreUnderTest> {
  const { url, close: closeServer } = await serverForTests();
  const database = await createTestDatabase();
  const first = await openTestStore(url, database.url);
  const others: Promise<Opened>[] = [];
  return {
    store: first.store,
    another() {
      const other = openTestStore(url, database.url);
      others.push(other);
      return onceOpen(other.then(({ store }) => store));
    },
    async close() {
      await Promise.all([first.close(), ...others.map(async (other) => (await other).close())]);
      await database.close();
      await closeServer();
    },
  };
}

/** A store that may still be opening: whoever uses it waits for that. */
function onceOpen(opening: Promise<Store>): Store {
  return {
    append: async (...asked) => (await opening).append(...asked),
    readStream: async (...asked) => (await opening).readStream(...asked),
    readStreams: async (...asked) => (await opening).readStreams(...asked),
    readAll: async (...asked) => (await opening).readAll(...asked),
    findClaims: async (...asked) => (await opening).findClaims(...asked),
    lastAbout: async (...asked) => (await opening).lastAbout(...asked),
    lastPosition: async () => (await opening).lastPosition(),
    async *subscribe(options) {
      yield* (await opening).subscribe(options);
    },
  };
}
