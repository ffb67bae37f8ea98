import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type Cluster, startCluster } from '../../src/embedded/cluster.ts';
import { migrate } from '../../src/migrate.ts';
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { credits } from './accounts.ts';
import { SIGNUP_GRANT } from './inflows.ts';
import { isThere, leftOf, ServiceProcess } from './process.ts';
import { SERVICE_KEY } from './wire.ts';

/** How many processes there are of each kind. */
const EACH = 2;
const DATABASE = 'soak';
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** All that the soak runs on, in processes of their own. Whoever starts it stops it. */
export type World = {
  readonly databaseUrl: string;
  /** Does something on a connection that may do everything, as soon as Postgres gives one. */
  asSuperuser<Value>(work: (superuser: pg.Client) => Promise<Value>): Promise<Value>;
  readonly redis: RedisServer;
  readonly apis: readonly ServiceProcess[];
  readonly workers: readonly ServiceProcess[];
  readonly urls: readonly string[];
  /** Where the processes' logs are. */
  readonly folder: string;
  /** Ends all processes of the service in order. Returns what did not end as it should. */
  closeService(): Promise<readonly string[]>;
  /** Ends all. Returns the ids of processes that are still there. `keep`: leaves the logs. */
  stop(keep: boolean): Promise<readonly number[]>;
};

/** Starts Postgres, Redis and the service on them; `env` says which store. `onFault` is told of a process that ends by itself. */
export async function startWorld(env: Readonly<Record<string, string>>, onFault: (error: Error) => void): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'mana-soak-'));
  // As root, Postgres runs under another account, which must get here.
  chmodSync(folder, 0o755);
  const begun: Begun = { processes: [] };
  const removeGuards = guard(() => abandonAll(folder, begun));
  const end = (keep: boolean): Promise<readonly number[]> => endAll(folder, begun, keep).finally(removeGuards);
  try {
    const cluster = (begun.cluster = await startCluster(folder));
    const redis = (begun.redis = await startRedisServer());
    const databaseUrl = await makeDatabase(cluster);
    const settings = { ...env, DATABASE_URL: databaseUrl, REDIS_URL: redis.url, ...SETTINGS };
    const apis: ServiceProcess[] = [];
    const workers: ServiceProcess[] = [];
    const urls: string[] = [];
    for (let number = 1; number <= EACH; number += 1) {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      urls.push(url);
      const own = { ...settings, HOST: '127.0.0.1', PORT: String(port), LOG_LEVEL: 'warn' };
      const isReady = (): Promise<boolean> => isHealthy(url);
      apis.push(new ServiceProcess({ name: `api-${number}`, entry: 'src/server.ts', env: own, folder, isReady, onFault }));
      const runs = (printed: string): boolean => printed.includes('workers are running');
      const name = `worker-${number}`;
      workers.push(new ServiceProcess({ name, entry: 'src/worker.ts', env: settings, folder, isReady: runs, onFault }));
    }
    begun.processes.push(...apis, ...workers);
    await Promise.all(begun.processes.map((one) => one.start()));
    const closeService = async (): Promise<readonly string[]> => [...(await closed(workers)), ...(await closed(apis))];
    const asSuperuser: World['asSuperuser'] = async (work) => {
      await untilThere(databaseUrl);
      return withClient(databaseUrl, work);
    };
    return { databaseUrl, asSuperuser, redis, apis, workers, urls, folder, closeService, stop: end };
  } catch (error) {
    await end(true);
    throw error;
  }
}

/** Nobody is limited: one key sends everything here, more than any one service does. */
const SETTINGS = {
  MANA_SERVICE_KEY: SERVICE_KEY,
  RATE_LIMIT: 'off',
  SIGNUP_GRANT: String(credits(SIGNUP_GRANT)),
  LOG_LEVEL: 'info',
};

async function closed(processes: readonly ServiceProcess[]): Promise<readonly string[]> {
  const codes = await Promise.all(processes.map((one) => one.stop()));
  return processes.flatMap(({ name }, place) =>
    codes[place] === 0 ? [] : [`${name} ended with ${codes[place]} when told to end`],
  );
}

/** What was begun so far. */
type Begun = { cluster?: Cluster; redis?: RedisServer; readonly processes: ServiceProcess[] };

async function endAll(folder: string, { cluster, redis, processes }: Begun, keep: boolean): Promise<readonly number[]> {
  await Promise.all(processes.map((one) => one.close()));
  const postmaster = cluster === undefined ? undefined : postmasterOn(folder);
  await cluster?.stop();
  await redis?.stop();
  const pids = processes.flatMap((one) => one.pids);
  if (!keep) rmSync(folder, { recursive: true, force: true });
  return leftOf(postmaster === undefined ? pids : [...pids, postmaster]);
}

/** Does something at once where this process ends before its time. Returns what takes that back. */
function guard(abandon: () => void): () => void {
  const interrupted = (): void => process.exit(130);
  for (const signal of SIGNALS) process.once(signal, interrupted);
  process.once('exit', abandon);
  return () => {
    for (const signal of SIGNALS) process.off(signal, interrupted);
    process.off('exit', abandon);
  };
}

function abandonAll(folder: string, { redis, processes }: Begun): void {
  for (const one of processes) one.abandon();
  // The signal is sent at once.
  void redis?.kill();
  const postmaster = postmasterOn(folder);
  if (postmaster !== undefined && isThere(postmaster)) process.kill(postmaster, 'SIGQUIT');
}

/** The process id of Postgres; undefined where it does not run. */
function postmasterOn(folder: string): number | undefined {
  try {
    const pid = Number(readFileSync(join(folder, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

async function makeDatabase(cluster: Cluster): Promise<string> {
  await withClient(cluster.url('postgres'), (admin) => admin.query(`create database ${DATABASE}`));
  const url = cluster.url(DATABASE);
  await migrate(url);
  return url;
}

/** In ms: how long Postgres may take to recover. */
const THERE_WITHIN = 30_000;

async function untilThere(url: string): Promise<void> {
  const giveUpAt = performance.now() + THERE_WITHIN;
  for (;;) {
    try {
      return await withClient(url, async () => undefined);
    } catch (error) {
      if (performance.now() > giveUpAt) throw error;
      await delay(100);
    }
  }
}

async function withClient<Value>(url: string, work: (client: pg.Client) => Promise<Value>): Promise<Value> {
  const client = new pg.Client({ connectionString: url, application_name: 'soak' });
  // Whoever waits on it is told; without a listener it would end the process besides.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function isHealthy(url: string): Promise<boolean> {
  return fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );
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
