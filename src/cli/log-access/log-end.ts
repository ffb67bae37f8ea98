import type pg from 'pg';
import { serviceClient, servicePool } from '../../database.ts';
import type { Store } from '../../events/store.ts';
import { openStore } from '../../open-store.ts';

/** Where a log is kept: `postgres://…`, or `esdb://…` with what begins the names of its streams there. */
export type LogPlace = { readonly url: string; readonly prefix: string };

/** A log that is open. Whoever opens it closes it. */
export type LogEnd = {
  /** What people call it: its URL without passwords. */
  readonly name: string;
  readonly store: Store;
  close(): Promise<void>;
};

/** Connections to Postgres for one log: several streams are compared at a time. */
const CONNECTIONS = 8;

/** Whether a URL is one of Postgres'. */
export function isPostgres(url: string): boolean {
  return /^postgres(ql)?:\/\//.test(url);
}

/** Whether a URL names a KurrentDB or EventStoreDB. */
export function isKurrent(url: string): boolean {
  return /^esdb(\+discover)?:\/\//.test(url);
}

/**
 * Opens the log at a place. `databaseUrl` is the Postgres that keeps what KurrentDB can't; `onTrouble` is told of what
 * the store gets over by itself. Rejects where nothing answers there, or where it was not migrated.
 */
export async function openLog(
  { url, prefix }: LogPlace,
  { databaseUrl, onTrouble }: { databaseUrl: string; onTrouble: (what: string, error: unknown) => void },
): Promise<LogEnd> {
  const inPostgres = isPostgres(url);
  const postgresUrl = inPostgres ? url : databaseUrl;
  const pool = servicePool(postgresUrl, 'copy', CONNECTIONS);
  const makeClient = () => serviceClient(postgresUrl, 'copy listener');
  try {
    const opened = await openStore(
      { eventStoreUrl: inPostgres ? undefined : url, eventStorePrefix: prefix },
      { pool, makeClient, onTrouble },
    );
    return { name: nameOf({ url, prefix }), store: opened.store, close: () => closed(pool, opened.close) };
  } catch (error) {
    await pool.end();
    throw error;
  }
}

async function closed(pool: pg.Pool, close: () => Promise<void>): Promise<void> {
  try {
    await close();
  } finally {
    await pool.end();
  }
}

function nameOf({ url, prefix }: LogPlace): string {
  const [bare = ''] = url.replace(/\/\/[^/]*@/, '//').split('?', 1);
  return isPostgres(url) || prefix === '' ? bare : `${bare} (streams ${prefix}…)`;
}
