import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runMigrations } from 'bullmq';
import { Kysely, type Migration, Migrator, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { SERVICE_ROLE } from './database.ts';
import { QUEUE_SCHEMA } from './workers/queues.ts';

const FOLDER = join(import.meta.dirname, '..', 'migrations');

/**
 * Brings a database up to date: our own numbered SQL files, each once, in order, in a transaction; then the tables of
 * the queue. Returns the names of what was done. May run in several processes at once. The URL's user must own the
 * database.
 */
export async function migrate(url: string, serviceUrl = url): Promise<readonly string[]> {
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 2 }) }) });
  try {
    const { error, results = [] } = await new Migrator({ db, provider: { getMigrations } }).migrateToLatest();
    const failed = results.find(({ status }) => status === 'Error');
    if (error !== undefined) throw new Error(`migration ${failed?.migrationName ?? ''} failed`, { cause: error });
    await migrateQueue(url, decodeURIComponent(new URL(serviceUrl).username));
    return results.map(({ migrationName }) => migrationName);
  } finally {
    await db.destroy();
  }
}

async function getMigrations(): Promise<Record<string, Migration>> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.sql')).sort();
  const entries = files.map(async (file): Promise<[string, Migration]> => {
    const text = await readFile(join(FOLDER, file), 'utf8');
    return [file.replace(/\.sql$/, ''), { up: async (db: Kysely<unknown>) => void (await sql.raw(text).execute(db)) }];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** The queue brings its own migrations; the service's role works its tables, and makes the sequence of each queue. */
async function migrateQueue(url: string, serviceUser: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    await runMigrations(client, QUEUE_SCHEMA);
    await client.query(`
      grant usage, create on schema ${QUEUE_SCHEMA} to ${SERVICE_ROLE};
      grant select, insert, update, delete on all tables in schema ${QUEUE_SCHEMA} to ${SERVICE_ROLE};
      grant usage on all sequences in schema ${QUEUE_SCHEMA} to ${SERVICE_ROLE};
      grant execute on all functions in schema ${QUEUE_SCHEMA} to ${SERVICE_ROLE}`);
    // Whoever the service logs in as may take its role; the migrating user has it already.
    if (serviceUser !== '' && serviceUser !== client.user) {
      await client.query(`grant ${SERVICE_ROLE} to ${pg.escapeIdentifier(serviceUser)}`);
    }
  } finally {
    await client.end();
  }
}
