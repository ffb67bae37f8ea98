import pg from 'pg';
import { type Logger, pino } from 'pino';
import type { Config } from './config.ts';
import { readModelPool, SERVICE_ROLE, serviceClient, servicePool } from './database.ts';
import { accountDecider } from './commands/account-decider.ts';
import { catalogueDecider, type CatalogueCommands, HEAVIEST_CATALOGUE } from './commands/catalogue-decider.ts';
import { CommandHandler } from './commands/handle.ts';
import { CatalogueFollower } from './commands/write-path/catalogue-follower.ts';
import { GroupCommitter } from './commands/write-path/group-committer.ts';
import { createClock } from './events/clock.ts';
import { SNAPSHOT_VERSION } from './events/event-types.ts';
import { createPersonal } from './events/personal.ts';
import { createSnapshots } from './events/postgres/snapshots.ts';
import { createStreamLocks } from './events/postgres/stream-locks.ts';
import { createRequestHashes } from './events/request-hash.ts';
import { type OpenStore, openStore } from './open-store.ts';
import { createServiceKeys } from './operational/service-keys.ts';
import { readDatabase } from './projections/database.ts';
import { NEXT, PREVIOUS } from './projections/generations.ts';
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
  // Of its own, so that who makes up keys takes no connection from commands.
  const keyPool = servicePool(url, 'keys', 2);
  const readPool = readModelPool(url, 'read', 8);
  const makeClient = () => serviceClient(url, 'listener');
  let opened: OpenStore | undefined;
  try {
    const [clock, hashes] = await Promise.all([createClock(logPool), createRequestHashes(logPool)]);
    const onTrouble = (what: string, error: unknown) => log.warn({ err: error }, what);
    opened = await openStore(config, { pool: logPool, makeClient, onTrouble });
    const { store, close: closeStore } = opened;
    const snapshots = createSnapshots(logPool, SNAPSHOT_VERSION);
    // KurrentDB takes each stream's batch by itself, and several at once.
    const committer = new GroupCommitter(store, { inOrder: config.eventStoreUrl === undefined });
    const parts = { store, committer, snapshots, locks: createStreamLocks(lockPool), clock, hashes };
    const accounts = new CommandHandler(accountDecider, { ...parts, capacity: STATE_CAPACITY });
    // Snapshots are kept by the name of their stream, and no account's is the catalogue's.
    const catalogueHandler = new CommandHandler(catalogueDecider, { ...parts, capacity: HEAVIEST_CATALOGUE });
    const catalogue = new CatalogueFollower({
      store,
      snapshots,
      onLost: (error) => log.error({ err: error }, 'the catalogue cannot be read'),
    });
    await catalogue.start();
    const db = readDatabase(readPool);
    // A feeder does one thing at a time in each. Where there are none, nothing connects.
    const others = {
      [NEXT]: readDatabase(readModelPool(url, 'feed', 1, NEXT)),
      [PREVIOUS]: readDatabase(readModelPool(url, 'feed', 1, PREVIOUS)),
    };
    const queue: QueueConnection =
      config.redisUrl === undefined
        ? { kind: 'postgres', url, role: SERVICE_ROLE }
        : { kind: 'redis', url: config.redisUrl, prefix: config.redisPrefix };
    return {
      config,
      log,
      store,
      clock,
      accounts,
      catalogue,
      catalogueCommands: seenAtOnce(catalogueHandler, catalogue),
      personal: createPersonal(logPool),
      serviceKeys: createServiceKeys(keyPool),
      db,
      others,
      queue,
      pingQueue: () => pingQueue(queue, readPool),
      makeClient,
      async close() {
        await Promise.all([accounts.close(), catalogueHandler.close(), catalogue.close()]);
        clock.close();
        await closeStore();
        const readers = [db, others[NEXT], others[PREVIOUS]].map((one) => one.destroy());
        await Promise.all([...readers, logPool.end(), lockPool.end(), keyPool.end()]);
      },
    };
  } catch (error) {
    await opened?.close();
    await Promise.all([logPool.end(), lockPool.end(), keyPool.end(), readPool.end()]);
    throw isNotMigrated(error) ? new Error('the database is not migrated: run `npm run migrate`', { cause: error }) : error;
  }
}

/** Commands of the catalogue after whose answer this process knows what they have changed. */
function seenAtOnce(commands: CatalogueCommands, catalogue: CatalogueFollower): CatalogueCommands {
  return {
    async execute(envelope) {
      const outcome = await commands.execute(envelope);
      if (outcome.kind !== 'rejected') await catalogue.refresh();
      return outcome;
    },
  };
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
