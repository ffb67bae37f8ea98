import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startCluster } from '../src/embedded/cluster.ts';
import { migrate } from '../src/migrate.ts';
import { type Child, freePort, startChild, untilHealthy } from './children.ts';

/** The database that the service uses. */
export const DATABASE = 'mana';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The key of a service that lives for one measurement. */
const SERVICE_KEY = 'measurement-service-key';
/** Nobody is limited: one key sends everything here, more than any one service does. */
const SETTINGS = { HOST: '127.0.0.1', MANA_SERVICE_KEY: SERVICE_KEY, LOG_LEVEL: 'error', RATE_LIMIT: 'off' };

/** A service under measurement: its own Postgres, an API process, and a worker process that may be stopped. */
export type Service = {
  readonly port: number;
  readonly serviceKey: string;
  /** The URL of a database on the service's Postgres, as its superuser; made where it isn't there. */
  database(name: string): Promise<string>;
  /** The API's process, a new one after a restart. */
  apiPid(): number;
  /** The worker's process, where it runs. */
  workerPid(): number | undefined;
  restartApi(): Promise<void>;
  /** Starts one more API process on the same log, and returns its port. */
  addApi(): Promise<number>;
  startWorker(): void;
  stopWorker(): Promise<void>;
  stop(): Promise<void>;
};

export type ServiceSettings = {
  /** Where the API leaves a profile of its processor time when it is stopped. */
  readonly profiles?: string;
  /** What is added to the environment of all processes. */
  readonly env?: Readonly<Record<string, string>>;
};

/**
 * Starts Postgres in a folder that is removed at the end, brings it up to date, and starts the API; no worker yet.
 */
export async function startService({ profiles, env: added = {} }: ServiceSettings = {}): Promise<Service> {
  const home = mkdtempSync(join(tmpdir(), 'mana-bench-'));
  // As root, Postgres runs under another account, which must get here.
  chmodSync(home, 0o755);
  const cluster = await startCluster(home);

  let processes: Processes | undefined;
  let stopped: Promise<void> | undefined;
  /** May be called more than once. */
  const stop = (): Promise<void> => (stopped ??= stopAll());
  const stopAll = async (): Promise<void> => {
    for (const signal of SIGNALS) process.off(signal, interrupted);
    process.off('exit', abandon);
    await processes?.stop();
    await cluster.stop();
    rmSync(home, { recursive: true, force: true });
  };
  const interrupted = (): void => void stop().finally(() => process.exit(130));
  for (const signal of SIGNALS) process.once(signal, interrupted);
  /** Ends what would outlive a process that ends by an error: there is no time left to do it in order. */
  const abandon = (): void => {
    const postmaster = readFileSync(join(home, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0];
    for (const pid of [...(processes?.pids() ?? []), Number(postmaster)]) if (pid > 0) process.kill(pid, 'SIGQUIT');
  };
  process.once('exit', abandon);

  const database = async (name: string): Promise<string> => {
    const client = new pg.Client({ connectionString: cluster.url('postgres') });
    await client.connect();
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await client.query(`create database ${pg.escapeIdentifier(name)}`);
    await client.end();
    return cluster.url(name);
  };

  try {
    const url = await database(DATABASE);
    await migrate(url);
    processes = await startProcesses({ ...SETTINGS, ...added, DATABASE_URL: url }, profiles);
    return { ...processes, serviceKey: SERVICE_KEY, database, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Processes = Omit<Service, 'serviceKey' | 'database'> & { readonly pids: () => readonly number[] };

/** An API on a port of its own, and whatever is started and stopped beside it. */
async function startProcesses(env: Readonly<Record<string, string>>, profiles: string | undefined): Promise<Processes> {
  const flags = profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`];
  const startApi = async (on: number): Promise<Child> => {
    const child = startChild('src/server.ts', { ...env, PORT: String(on) }, flags);
    await untilHealthy(on, child).catch(async (error: unknown) => {
      await child.stop();
      throw error;
    });
    return child;
  };
  const port = await freePort();
  let api = await startApi(port);
  let worker: Child | undefined;
  const others: Child[] = [];
  const all = (): readonly Child[] => [api, ...others, ...(worker === undefined ? [] : [worker])];
  return {
    port,
    apiPid: () => api.pid,
    workerPid: () => worker?.pid,
    async restartApi() {
      await api.stop();
      api = await startApi(port);
    },
    async addApi() {
      const other = await freePort();
      others.push(await startApi(other));
      return other;
    },
    startWorker() {
      worker ??= startChild('src/worker.ts', env);
    },
    async stopWorker() {
      await worker?.stop();
      worker = undefined;
    },
    pids: () => all().map(({ pid }) => pid),
    stop: async () => void (await Promise.all(all().map((child) => child.stop()))),
  };
}
