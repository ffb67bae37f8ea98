import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { startCluster } from '../src/embedded/cluster.ts';
import { migrate } from '../src/migrate.ts';

const ROOT = join(import.meta.dirname, '..');
const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 30_000;
const DATABASE = 'mana';
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
export async function startService({ profiles, env: more = {} }: ServiceSettings = {}): Promise<Service> {
  const home = mkdtempSync(join(tmpdir(), 'mana-bench-'));
  // As root, Postgres runs under another account, which must get here.
  chmodSync(home, 0o755);
  const cluster = await startCluster(home);
  let api: Child | undefined;
  let worker: Child | undefined;
  const port = await freePort();

  let stopped: Promise<void> | undefined;
  /** May be called more than once. */
  const stop = (): Promise<void> => (stopped ??= stopAll());
  const stopAll = async (): Promise<void> => {
    for (const signal of SIGNALS) process.off(signal, interrupted);
    process.off('exit', abandon);
    await Promise.all([worker?.stop(), api?.stop()]);
    await cluster.stop();
    rmSync(home, { recursive: true, force: true });
  };
  const interrupted = (): void => void stop().finally(() => process.exit(130));
  for (const signal of SIGNALS) process.once(signal, interrupted);
  /** Ends what would outlive a process that ends by an error: there is no time left to do it in order. */
  const abandon = (): void => {
    const postmaster = readFileSync(join(home, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0];
    for (const pid of [api?.pid, worker?.pid, Number(postmaster)]) if (pid !== undefined && pid > 0) process.kill(pid, 'SIGQUIT');
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
    const env = { ...SETTINGS, ...more, DATABASE_URL: url, PORT: String(port) };
    const startApi = async (): Promise<Child> => {
      const child = startChild('src/server.ts', env, profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]);
      await untilHealthy(port, child);
      return child;
    };
    api = await startApi();
    return {
      port,
      serviceKey: SERVICE_KEY,
      database,
      apiPid: () => api?.pid ?? 0,
      workerPid: () => worker?.pid,
      async restartApi() {
        await api?.stop();
        api = await startApi();
      },
      startWorker() {
        worker ??= startChild('src/worker.ts', env);
      },
      async stopWorker() {
        await worker?.stop();
        worker = undefined;
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

type Child = { readonly pid: number; readonly exited: () => boolean; stop(): Promise<void> };

/** One of the project's entries in a process of its own. One that ends by itself says so on standard error. */
function startChild(entry: string, settings: Readonly<Record<string, string>>, flags: readonly string[] = []): Child {
  const { DATABASE_URL: _, REDIS_URL: __, MANA_AUTH_URL: ___, EVENTSTORE_URL: ____, ...inherited } = process.env;
  const child: ChildProcess = spawn(process.execPath, ['--max-semi-space-size=16', ...flags, '--import', 'tsx', entry], {
    cwd: ROOT,
    env: { ...inherited, ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stopping = false;
  let ended = false;
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4_000);
  });
  const exit = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      ended = true;
      if (!stopping) process.stderr.write(`${entry} ended by itself (${signal ?? code}):\n${output}\n`);
      resolve();
    });
  });
  return {
    pid: child.pid ?? 0,
    exited: () => ended,
    async stop() {
      stopping = true;
      child.kill('SIGTERM');
      const deadline = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
      await exit;
      clearTimeout(deadline);
    },
  };
}

async function untilHealthy(port: number, child: Child): Promise<void> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (Date.now() < deadline && !child.exited()) {
    const healthy = await fetch(`http://127.0.0.1:${port}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (healthy) return;
    await delay(50);
  }
  throw new Error('the API did not become healthy');
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
