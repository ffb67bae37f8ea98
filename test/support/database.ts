import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject, vi } from 'vitest';
import { serviceClient, servicePool } from '../../src/database.ts';
import { createPostgresStore } from '../../src/events/postgres/store.ts';
import type { Store } from '../../src/events/store.ts';

/** Makes copies of the template one after the other; an advisory lock of the server's `postgres` database. */
const CLONE_LOCK = 1;
/** How long the server may take to notice that connections were closed, in ms. */
const CLOSED_WITHIN = 5_000;

/** A migrated database of its own for a test file. */
export type TestDatabase = {
  readonly url: string;
  /** A connection that may do what no service can. */
  readonly superuser: pg.Client;
  /** Removes the database. Rejects where somebody has left a connection to it open. */
  readonly close: () => Promise<void>;
};

/**
 * Copies the migrated template, or another database that nobody is connected to. Whoever calls closes it, after
 * everything that connects to it.
 */
export async function createTestDatabase(template = inject('template')): Promise<TestDatabase> {
  const name = `mana_test_${randomBytes(6).toString('hex')}`;
  await asAdmin(async (admin) => {
    await admin.query('select pg_advisory_lock($1)', [CLONE_LOCK]);
    await admin.query(`create database ${name} template ${template}`);
  });
  const url = new URL(inject('adminUrl'));
  url.pathname = `/${name}`;
  const superuser = new pg.Client({ connectionString: url.href, application_name: 'test superuser' });
  await superuser.connect();
  return {
    url: url.href,
    superuser,
    async close() {
      await superuser.end();
      await asAdmin(async (admin) => {
        try {
          await vi.waitFor(async () => refuseLeftovers(await connectionsTo(admin, name)), {
            timeout: CLOSED_WITHIN,
            interval: 20,
          });
        } finally {
          await admin.query(`drop database ${name} with (force)`);
        }
      });
    },
  };
}

/** The store on a test database, as a process of its own would have it. */
export type TestStore = { readonly store: Store; readonly pool: pg.Pool; readonly close: () => Promise<void> };

export function testStore(url: string, name = 'test'): TestStore {
  const pool = servicePool(url, name, 8);
  const store = createPostgresStore({ pool, makeClient: () => serviceClient(url, `${name} listener`) });
  return { store, pool, close: () => pool.end() };
}

async function asAdmin(work: (admin: pg.Client) => Promise<void>): Promise<void> {
  const admin = new pg.Client({ connectionString: inject('adminUrl') });
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

async function connectionsTo(admin: pg.Client, database: string): Promise<readonly string[]> {
  const { rows } = await admin.query<{ application_name: string; state: string; query: string }>(
    `select application_name, state, query from pg_stat_activity where datname = $1 and backend_type = 'client backend'`,
    [database],
  );
  return rows.map((row) => `${row.application_name} (${row.state}: ${row.query})`);
}

function refuseLeftovers(connections: readonly string[]): void {
  if (connections.length > 0) throw new Error(`connections left open:\n${connections.join('\n')}`);
}
