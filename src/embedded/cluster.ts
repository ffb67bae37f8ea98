import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Account, canReach, postgresAccount } from './account.ts';
import { type Binaries, postgresBinaries, SHARED_FOLDER } from './binaries.ts';
import { makeFolder } from './make-folder.ts';
import { type DataFolder, disown, findServer, type Found, USER } from './running.ts';

const run = promisify(execFile);

const PASSWORD_FILE = 'mana-password';
const START_WITHIN_S = 30;

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  log_min_messages: 'warning',
};

/** A Postgres server of our own. */
export type Cluster = {
  /** The URL of a database on it, as its superuser. */
  url(database: string): string;
  /** Stops the server; open connections are cut. */
  stop(): Promise<void>;
};

/**
 * Starts Postgres on a folder below `home`, which keeps its data: makes it the first time, and takes over a server
 * that a killed process left running, or that another process starts at the same time. Rejects with a message for people.
 */
export async function startCluster(home: string): Promise<Cluster> {
  const account = postgresAccount();
  const binaries = await postgresBinaries(account);
  const folder = dataFolder(resolve(home), account);
  await makeFolder(folder, {
    isWhole: () => existsSync(join(folder, 'PG_VERSION')),
    fill: (making) => create(making, account, binaries),
  });

  const password = readFileSync(join(folder, PASSWORD_FILE), 'utf8').trim();
  const data = { folder, account, binaries, password };
  const found = await findServer(data);
  const port = found.kind === 'running' ? found.port : await start(data, found);
  return {
    url: (database) => `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`,
    stop: async () => {
      await run(binaries.pgCtl, ['stop', '-D', folder, '-m', 'fast', '-w'], { ...account, cwd: folder });
    },
  };
}

/** Below `home`; where Postgres' account can't get there, elsewhere, with a link that shows where. */
function dataFolder(home: string, account: Account): string {
  const wanted = join(home, 'postgres');
  mkdirSync(home, { recursive: true });
  if (canReach(account, home)) return wanted;
  const elsewhere = join(SHARED_FOLDER, createHash('sha256').update(home).digest('hex').slice(0, 16));
  mkdirSync(SHARED_FOLDER, { recursive: true, mode: 0o755 });
  if (!existsSync(wanted)) {
    rmSync(wanted, { force: true });
    symlinkSync(elsewhere, wanted);
  }
  return elsewhere;
}

/** Fills an empty folder with a new cluster and its password. */
async function create(making: string, account: Account, { initdb }: Binaries): Promise<void> {
  const passwordFile = join(dirname(making), `.${randomBytes(6).toString('hex')}`);
  const password = randomBytes(18).toString('base64url');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  own(making, account);
  own(passwordFile, account);
  try {
    const how = ['--auth=scram-sha-256', `--username=${USER}`, `--pwfile=${passwordFile}`, '--encoding=UTF8', '--no-locale'];
    await run(initdb, ['-D', making, ...how], { ...account, cwd: making });
    renameSync(passwordFile, join(making, PASSWORD_FILE));
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

function own(path: string, { uid, gid }: Account): void {
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}

/** Starts the server; returns its port. */
async function start(data: DataFolder, found: Found): Promise<number> {
  const { folder, account, binaries } = data;
  const port = await freePort();
  const log = join(folder, 'server.log');
  const settings = Object.entries({ ...SETTINGS, port: String(port) }).map(([name, value]) => `-c ${name}='${value}'`);
  const how = ['-w', '-t', String(START_WITHIN_S), '-l', log, '-o', settings.join(' ')];
  const putBack = found.kind === 'left' ? disown(folder, found.file) : undefined;
  try {
    await run(binaries.pgCtl, ['start', '-D', folder, ...how], { ...account, cwd: folder });
    return port;
  } catch (error) {
    putBack?.();
    // Two that start at once are one server: Postgres itself lets the second go no further.
    const other = await findServer(data);
    if (other.kind === 'running') return other.port;
    const tail = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').slice(-3).join('\n') : String(error);
    throw new Error(`Postgres does not start on ${folder}:\n${tail}`, { cause: error });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address !== null && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
