import pg from 'pg';
import { type Logger, pino } from 'pino';
import type { Config } from './config.ts';
import { readModelPool, SERVICE_ROLE, serviceClient, servicePool } from './database.ts';
import { accountDecider } from './commands/account-decider.ts';
import { CommandHandler } from './commands/handle.ts';
import { GroupCommitter } from './commands/write-path/group-committer.ts';
import { createClock } from './events/clock.ts';
import { SNAPSHOT_VERSION } from './events/event-types.ts';
import { createPersonal } from './events/personal.ts';
import { createSnapshots } from './events/postgres/snapshots.ts';
import { createPostgresStore } from './events/postgres/store.ts';
import { createStreamLocks } from './events/postgres/stream-locks.ts';
import { createRequestHashes } from './events/request-hash.ts';
import { readDatabase } from './projections/database.ts';
import { pingQueue, type QueueConnection } from './workers/queues.ts';

/** How much the cache of account states may weigh: about 50,000 accounts with one grant. */
const STATE_CAPACITY = 100_000;

export type Context = Awaited<ReturnType<typeof createContext>>;

/**
 * Everything that a process is made of, put together once. Whoever calls closes it: commands under way are finished,
 * then the connections are given back. Rejects where the database can't be reached or was not migrated.
 */
export async function createContext(config: Config, overrides: { readonly log?: Logger } = {}) {
  const log = overrides.log ?? pino({ level: config.logLevel });
  const url = config.databaseUrl;
  const logPool = servicePool(url, 'log', 8);
  const lockPool = servicePool(url, 'locks', 4);
  const readPool = readModelPool(url, 'read', 8);
  const makeClient = () => serviceClient(url, 'listener');
  try {
    const [clock, hashes] = await Promise.all([createClock(logPool), createRequestHashes(logPool)]);
    const store = createPostgresStore({ pool: logPool, makeClient });
    const accounts = new CommandHandler(accountDecider, {
      store,
      committer: new GroupCommitter(store),
      snapshots: createSnapshots(logPool, SNAPSHOT_VERSION),
      locks: createStreamLocks(lockPool),
      clock,
      hashes,
      capacity: STATE_CAPACITY,
    });
    const db = readDatabase(readPool);
    const queue: QueueConnection =
      config.redisUrl === undefined ? { kind: 'postgres', url, role: SERVICE_ROLE } : { kind: 'redis', url: config.redisUrl };
    return {
      config,
      log,
      store,
      clock,
      accounts,
      personal: createPersonal(logPool),
      db,
      queue,
      pingQueue: () => pingQueue(queue, readPool),
      makeClient,
      async close() {
        await accounts.close();
        clock.close();
        await Promise.all([db.destroy(), logPool.end(), lockPool.end()]);
      },
    };
  } catch (error) {
    await Promise.all([logPool.end(), lockPool.end(), readPool.end()]);
    throw isNotMigrated(error) ? new Error('the database is not migrated: run `npm run migrate`', { cause: error }) : error;
  }
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: a table, or a schema, that isn't there. */
const NOT_THERE: readonly unknown[] = ['42P01', '3F000'];
/** What a connection is refused with whose settings name a role that isn't there. */
const WRONG_SETTING = '22023';

/** Whether an error says that migrations are missing, and not that DATABASE_URL names a wrong user or database. */
function isNotMigrated(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  return NOT_THERE.includes(error.code) || (error.code === WRONG_SETTING && error.message.includes(`"${SERVICE_ROLE}"`));
}
