import pg from 'pg';

/** The role that the service's connections take: it reads and appends, and can't change or remove an event. */
export const SERVICE_ROLE = 'mana_credits_service';

/** What every connection of the service is bound by. Times are in milliseconds. */
const CONNECT_TIMEOUT = 3_000;
const STATEMENT_TIMEOUT = 5_000;
/** Longer than the server's own limit: it ends calls to a server that has gone silent. */
const QUERY_TIMEOUT = 8_000;
const IDLE_FOR = 30_000;

/**
 * How each end finds out that the other one's machine is gone, which says nothing: Postgres by these, and lets go of
 * what the connection had locked, within a minute; by itself it would take two hours. We by TCP's probes after as long.
 */
const SILENT_FOR_S = 30;
const KEEPALIVE = [`tcp_keepalives_idle=${SILENT_FOR_S}`, 'tcp_keepalives_interval=10', 'tcp_keepalives_count=3'];

/**
 * Connection settings that drop to the service's role before the first query. Every query of the service walks an
 * index; the planner is told so, since its guesses about tables that were empty a moment ago are wrong.
 */
function serviceSettings(url: string, name: string): pg.PoolConfig {
  const settings = [
    `role=${SERVICE_ROLE}`,
    `statement_timeout=${STATEMENT_TIMEOUT}`,
    'idle_in_transaction_session_timeout=10000',
    ...KEEPALIVE,
    'enable_seqscan=off',
    'enable_hashjoin=off',
    'enable_mergejoin=off',
    'enable_bitmapscan=off',
    // Planned once: with arrays of values as parameters Postgres would plan anew each time, which takes longer than running.
    'plan_cache_mode=force_generic_plan',
    'timezone=UTC',
  ];
  return {
    connectionString: url,
    application_name: `mana-credits ${name}`,
    options: settings.map((setting) => `-c ${setting}`).join(' '),
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    query_timeout: QUERY_TIMEOUT,
    keepAlive: true,
    keepAliveInitialDelayMillis: SILENT_FOR_S * 1_000,
  };
}

/** A pool of at most `max` connections under the service's role. `name` shows in pg_stat_activity. */
export function servicePool(url: string, name: string, max: number): pg.Pool {
  return poolOf({ ...serviceSettings(url, name), max });
}

/**
 * A pool for read models alone, which are named without their schema: it is the generation that answers. Commits don't
 * wait for the disk: what a crash of Postgres takes back is applied again, checkpoints together with their rows.
 */
export function readModelPool(url: string, name: string, max: number, schema = 'read_model'): pg.Pool {
  const settings = serviceSettings(url, name);
  return poolOf({ ...settings, options: `${settings.options} ${WITHOUT_WAITING} -c search_path=${schema}`, max });
}

/** What makes commits of a connection not wait for the disk. */
export const WITHOUT_WAITING = '-c synchronous_commit=off';

function poolOf(settings: pg.PoolConfig): pg.Pool {
  // One stays open however idle its process is: whoever looks for processes that run finds it (cli/log-copy/writers.ts).
  const pool = new pg.Pool({ ...settings, min: 1, idleTimeoutMillis: IDLE_FOR });
  // A connection that breaks is replaced at its next use, and whoever waits on it is told; without listeners, on the
  // pool for those that are idle and on each for those in use, it would end the process.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** One connection under the service's role, not yet connected, for LISTEN and locks that live as long as it does. */
export function serviceClient(url: string, name: string): pg.Client {
  const client = new pg.Client(serviceSettings(url, name));
  client.on('error', () => undefined);
  return client;
}
