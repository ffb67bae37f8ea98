import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startCluster } from '../../src/embedded/cluster.ts';

/** A Postgres server that nobody has migrated anything on: roles belong to a whole server. */
export type OwnCluster = {
  /** A connection to its `postgres` database that may do everything. */
  readonly admin: pg.Client;
  /** The URL of a database on it, as its superuser or as a user whose name is their password. */
  url(database: string, user?: string): string;
  /** Stops and removes it. */
  close(): Promise<void>;
};

/** A folder for data folders that Postgres' account can reach: as root it runs under another. */
export function makeHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'mana-home-'));
  chmodSync(home, 0o755);
  return home;
}

/** Starts a server for one test file. Whoever calls closes it. */
export async function startOwnCluster(): Promise<OwnCluster> {
  const home = makeHome();
  const cluster = await startCluster(home);
  const admin = new pg.Client({ connectionString: cluster.url('postgres') });
  await admin.connect();
  return {
    admin,
    url(database, user) {
      const url = new URL(cluster.url(database));
      if (user !== undefined) [url.username, url.password] = [user, user];
      return url.href;
    },
    async close() {
      await admin.end();
      await cluster.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}
