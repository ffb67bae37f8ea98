import { parseArgs } from 'node:util';
import pg from 'pg';
import { readConfig } from '../config.ts';
import { runEntry } from '../shutdown.ts';

/** In s. A process of workers asks its database for something every second, be it only whether there is news. */
const SILENT_AT_MOST = 30;
/** In ms: longer than any answer takes, shorter than whoever runs this waits. */
const WITHIN = 5_000;

/**
 * Whether workers on this machine do their rounds: the health check of a process that listens to nobody. Ends with 0
 * where one that connects from the address of this command has asked the database at DATABASE_URL for something within
 * `--silent` seconds (30), or else with 1. In a container, which has an address of its own, that is its one process.
 */
await runEntry(async () => {
  const { values } = parseArgs({ options: { silent: { type: 'string', default: String(SILENT_AT_MOST) } } });
  // What else is set, or isn't, is none of this command's business.
  const { databaseUrl } = readConfig({ DATABASE_URL: process.env['DATABASE_URL'] });
  const silence = await silentFor(databaseUrl);
  if (silence === null) throw new Error('no process of the ledger is connected from here');
  if (!(silence <= Number(values.silent))) throw new Error(`silent for ${Math.round(silence)} s`);
});

/**
 * In s: how long ago a process with our address last began or ended a statement; null where there is none. Under the
 * service's own user, without its role: sessions show to the user who logged in to them.
 */
async function silentFor(url: string): Promise<number | null> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'alive',
    connectionTimeoutMillis: WITHIN,
    query_timeout: WITHIN,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ silence: number | null }>(
      `select extract(epoch from clock_timestamp() - max(greatest(query_start, state_change)))::float8 as silence
       from pg_stat_activity
       where datname = current_database() and usename = session_user and application_name like 'mana-credits %'
         and client_addr is not distinct from inet_client_addr()`,
    );
    return rows[0]?.silence ?? null;
  } finally {
    await client.end();
  }
}
