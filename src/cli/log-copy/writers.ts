import pg from 'pg';

/** What the connections of a running API or worker are called (see context.ts), and of a rebuild of read models. */
const SERVICE_CONNECTIONS = ['log', 'locks', 'read', 'listener', 'rebuild owner'].map((name) => `mana-credits ${name}`);

/** In ms: how long the server may take to answer. */
const PATIENCE = 5_000;

/**
 * The APIs and workers that are connected to a database, each connection in words, as far as whoever is asked may see
 * them: a user of Postgres is shown the connections of others only as a member of pg_read_all_stats.
 */
export async function writersOn(url: string): Promise<readonly string[]> {
  // Not under the service's role, which is shown nobody's connections.
  const client = new pg.Client({
    connectionString: url,
    application_name: 'mana-credits copy',
    connectionTimeoutMillis: PATIENCE,
    query_timeout: PATIENCE,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ name: string; address: string | null; pid: number }>(
      `select application_name as name, host(client_addr) as address, pid from pg_stat_activity
       where datname = current_database() and application_name = any ($1) order by application_name, pid`,
      [SERVICE_CONNECTIONS],
    );
    return rows.map(({ name, address, pid }) => `${name} from ${address ?? 'a local socket'} (server process ${pid})`);
  } finally {
    await client.end();
  }
}
