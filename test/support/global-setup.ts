import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { type Cluster, startCluster } from '../../src/embedded/cluster.ts';
import { migrate } from '../../src/migrate.ts';
import { type EventStoreServer, startEventStoreServer } from './event-store-server.ts';
import { type RedisServer, startRedisServer } from './redis-server.ts';

const TEMPLATE = 'mana_template';

/** What `MANA_TEST_ON` may say: see backends.ts. */
const BACKENDS = ['redis', 'kurrent'];

declare module 'vitest' {
  // Merged with vitest's own: what is provided here, test files inject.
  interface ProvidedContext {
    /** The URL of the server's `postgres` database, as its superuser. */
    adminUrl: string;
    /** The database that every test's own is a copy of. */
    template: string;
    /** Where the queue and the log are kept; null where Postgres keeps them. */
    redisUrl: string | null;
    eventStoreUrl: string | null;
  }
}

/**
 * One Postgres for the whole run, with a migrated template database, and a Redis and a KurrentDB where the suites run on
 * them. Returns what stops and removes them.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const backend = readBackend();
  const home = mkdtempSync(join(tmpdir(), 'mana-test-'));
  let cluster: Cluster | undefined;
  let redis: RedisServer | undefined;
  let eventStore: EventStoreServer | undefined;
  const teardown = async (): Promise<void> => {
    try {
      await eventStore?.stop();
      await redis?.stop();
      await cluster?.stop();
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  };
  try {
    // As root Postgres runs under an account of its own, which must get in.
    chmodSync(home, 0o755);
    cluster = await startCluster(home);
    await makeTemplate(cluster);
    if (backend !== undefined) redis = await startRedisServer();
    if (backend === 'kurrent') eventStore = await startEventStoreServer();
    project.provide('adminUrl', cluster.url('postgres'));
    project.provide('template', TEMPLATE);
    project.provide('redisUrl', redis?.url ?? null);
    project.provide('eventStoreUrl', eventStore?.url ?? null);
    return teardown;
  } catch (error) {
    await teardown();
    throw error;
  }
}

/** What the suites run on beside Postgres. Throws where `MANA_TEST_ON` names what is not there. */
function readBackend(): string | undefined {
  const given = process.env['MANA_TEST_ON'] ?? '';
  // The long ones run on Postgres alone; see vitest.config.ts.
  if (given === '' || given === 'setups') return undefined;
  if (!BACKENDS.includes(given)) throw new Error(`MANA_TEST_ON is ${given}: it may be ${BACKENDS.join(' or ')}, or not set`);
  return given;
}

async function makeTemplate(cluster: Cluster): Promise<void> {
  const admin = new pg.Client({ connectionString: cluster.url('postgres') });
  await admin.connect();
  try {
    await admin.query(`create database ${TEMPLATE}`);
    await migrate(cluster.url(TEMPLATE));
    // A template that somebody is connected to can't be copied.
    await admin.query(`alter database ${TEMPLATE} with is_template true allow_connections false`);
  } finally {
    await admin.end();
  }
}
