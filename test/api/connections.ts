import pg from 'pg';
import { expect, inject } from 'vitest';
import type { Answer } from '../support/api-client.ts';
import type { TestDatabase } from '../support/database.ts';

/** Cuts every connection to a test database and takes no new one: Postgres is gone for whoever calls. The superuser stays. */
export async function refuseConnections({ superuser, url }: TestDatabase): Promise<void> {
  await allow(url, false);
  // Within a transaction the list stays as it was first seen, and whoever came since would go on.
  await superuser.query('select pg_stat_clear_snapshot()');
  await superuser.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
}

/** Takes connections again. */
export async function allowConnections({ url }: TestDatabase): Promise<void> {
  await allow(url, true);
}

/** Only from another database can one be closed to all. */
async function allow(url: string, taken: boolean): Promise<void> {
  const admin = new pg.Client({ connectionString: inject('adminUrl') });
  await admin.connect();
  try {
    await admin.query(`alter database ${new URL(url).pathname.slice(1)} with allow_connections ${taken}`);
  } finally {
    await admin.end();
  }
}

/** What a caller is told where the ledger can't answer: to come again. */
export function expectUnavailable({ status, headers, body }: Answer): void {
  expect(body).toEqual({
    statusCode: 503,
    error: 'store_unavailable',
    message: expect.any(String),
    requestId: headers.get('x-correlation-id'),
  });
  expect(status).toBe(503);
  expect(headers.get('retry-after')).toMatch(/^\d+$/);
}
