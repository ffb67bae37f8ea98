import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runMigrations } from 'bullmq';
import { Kysely, type Migration, Migrator, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { SERVICE_ROLE } from './database.ts';
import { NEXT, PREVIOUS, REBUILD_LOCK } from './projections/generations.ts';
import { QUEUE_NAME } from './workers/jobs.ts';
import { QUEUE_SCHEMA } from './workers/postgres-queue.ts';

const FOLDER = join(import.meta.dirname, '..', 'migrations');
/** Held while the queue is migrated: rights that two processes give at once collide. */
const QUEUE_LOCK = 7_041_855;

/**
 * Brings a database up to date: our own numbered SQL files, each once, in order, in a transaction; then the tables of
 * the queue. Returns the names of what was done. May run in several processes at once. The URL's user must own the
 * database.
 */
export async function migrate(url: string, serviceUrl = url): Promise<readonly string[]> {
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: migrationPool(url) }) });
  try {
    const done = await migrateTables(db);
    await migrateQueue(url, decodeURIComponent(new URL(serviceUrl).username));
    return done;
  } finally {
    await db.destroy();
  }
}

/** Runs our own migrations. Returns the names of those that were missing. */
async function migrateTables(db: Kysely<unknown>): Promise<readonly string[]> {
  const migrator = new Migrator({ db, provider: { getMigrations } });
  const known = await migrator.getMigrations().catch((error: unknown) => {
    throw new Error('the migration failed', { cause: error });
  });
  if (known.every(({ executedAt }) => executedAt !== undefined)) return [];
  return db.connection().execute(async (holder) => {
    await refuseRebuild(holder);
    const { error, results = [] } = await migrator.migrateToLatest();
    const failed = results.find(({ status }) => status === 'Error');
    const what = failed === undefined ? 'the migration' : `migration ${failed.migrationName}`;
    if (error !== undefined) throw new Error(`${what} failed`, { cause: error });
    return results.map(({ migrationName }) => migrationName);
  });
}

/**
 * Migrations change the live read models alone: another generation beside them would keep the structure of the version
 * before. Throws where there is one, and keeps new ones from being begun for as long as the connection lives.
 */
async function refuseRebuild(holder: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{ got: boolean; next: boolean; previous: boolean }>`
    select pg_try_advisory_lock_shared(${REBUILD_LOCK}) as got, to_regnamespace(${NEXT}) is not null as next,
      to_regnamespace(${PREVIOUS}) is not null as previous`.execute(holder);
  const [found] = rows;
  if (found?.got !== true) throw new Error('the read models are being rebuilt: let `npm run rebuild` end, or stop it');
  if (found.next) {
    const end = 'switch to it and drop the one before, or give it up with `npm run rebuild -- abandon`; then migrate';
    throw new Error(`${NEXT} stands and would stay as it is: ${end}`);
  }
  if (found.previous) {
    throw new Error(`${PREVIOUS} stands and would stay as it is: remove it with \`npm run rebuild -- drop\`, then migrate`);
  }
}

/** As the migrating user, without the service's role and its limits of time. */
function migrationPool(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 3 });
  // Whoever waits on a connection that breaks is told; without listeners it would end the process besides.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

async function getMigrations(): Promise<Record<string, Migration>> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.sql')).sort();
  const entries = files.map(async (file): Promise<[string, Migration]> => {
    const text = await readFile(join(FOLDER, file), 'utf8');
    return [file.replace(/\.sql$/, ''), { up: async (db: Kysely<unknown>) => void (await sql.raw(text).execute(db)) }];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/**
 * The queue brings its own migrations. What it would make later, at its first use, is made here as well: the service's
 * role works its tables and can make nothing beside them.
 */
async function migrateQueue(url: string, serviceUser: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    // Goes with the connection.
    await client.query('select pg_advisory_lock($1)', [QUEUE_LOCK]);
    await runMigrations(client, QUEUE_SCHEMA);
    // BullMQ makes the sequence of a queue's job ids when the first is drawn, under a lock of its own.
    await client.query(`select ${QUEUE_SCHEMA}.next_job_id($1)`, [QUEUE_NAME]);
    await client.query(`
      revoke create on schema ${QUEUE_SCHEMA} from ${SERVICE_ROLE};
      grant usage on schema ${QUEUE_SCHEMA} to ${SERVICE_ROLE};
      grant select, insert, update, delete on all tables in schema ${QUEUE_SCHEMA} to ${SERVICE_ROLE};
      grant usage on all sequences in schema ${QUEUE_SCHEMA} to ${SERVICE_ROLE};
      grant execute on all functions in schema ${QUEUE_SCHEMA} to ${SERVICE_ROLE};
      -- The queue works with temporary tables, which some take from everybody.
      do $$ begin
        if not has_database_privilege('${SERVICE_ROLE}', current_database(), 'temporary') then
          execute format('grant temporary on database %I to ${SERVICE_ROLE}', current_database());
        end if;
      end $$`);
    await letTakeRole(client, serviceUser);
  } finally {
    await client.end();
  }
}

/**
 * Whoever the service logs in as may take its role; the migrating user has it already. Where somebody else has seen to
 * it, the migrating user needs no right to.
 */
async function letTakeRole(client: pg.Client, user: string): Promise<void> {
  if (user === '' || user === client.user) return;
  // Before Postgres 16 all members of a role may take it.
  const { rows } = await client.query<{ may: boolean }>(
    `select pg_has_role($1, $2, case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end) as may`,
    [user, SERVICE_ROLE],
  );
  if (rows[0]?.may !== true) await client.query(`grant ${SERVICE_ROLE} to ${pg.escapeIdentifier(user)}`);
}
