import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { createServer as createHttpServer } from 'node:http';
import { join } from 'node:path';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { postgresAccount } from '../../src/embedded/account.ts';
import { type Cluster, startCluster } from '../../src/embedded/cluster.ts';
import { makeHome } from '../support/own-cluster.ts';

/* Which server works on a data folder: one, and the one that does. */

const closing: (() => Promise<unknown> | void)[] = [];
let home: string;

beforeEach(() => {
  home = makeHome();
  closing.push(() => rmSync(home, { recursive: true, force: true }));
});

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const file = () => join(home, 'postgres', 'postmaster.pid');

/** Runs one query as the superuser; returns its rows. */
async function ask(cluster: Cluster, text: string): Promise<readonly unknown[]> {
  const client = new pg.Client({ connectionString: cluster.url('postgres') });
  await client.connect();
  try {
    const { rows } = await client.query<Readonly<Record<string, unknown>>>(text);
    return rows;
  } finally {
    await client.end();
  }
}

/** A process that runs for long, under Postgres' account. */
function startSleeper(): ChildProcess {
  const sleeper = spawn('sleep', ['3600'], { ...postgresAccount(), stdio: 'ignore' });
  closing.push(() => void sleeper.kill('SIGKILL'));
  return sleeper;
}

/** A folder whose server was killed long ago, and whose process id and port others have now. */
async function leaveBehind(pid: number | undefined, port: number | undefined): Promise<void> {
  const cluster = await startCluster(home);
  await ask(cluster, 'create table kept as select 1 as one');
  const lines = readFileSync(file(), 'utf8').split('\n');
  await cluster.stop();
  lines[0] = String(pid);
  if (port !== undefined) lines[3] = String(port);
  writeFileSync(file(), lines.join('\n'));
  makeOld();
}

function makeOld(): void {
  const yesterday = Date.now() / 1_000 - 24 * 3_600;
  utimesSync(file(), yesterday, yesterday);
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe('the embedded Postgres', { timeout: 60_000 }, () => {
  it('is one server for all that start on a new folder at once', async () => {
    const clusters = await Promise.all([startCluster(home), startCluster(home), startCluster(home)]);
    closing.push(() => clusters[0].stop());
    expect(new Set(clusters.map((cluster) => cluster.url('postgres'))).size).toBe(1);
    expect(await ask(clusters[2], 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(readdirSync(home)).toEqual(['postgres']);
  });

  it.each<[string, () => Promise<number | undefined>]>([
    ['nobody listens', async () => undefined],
    ['something listens that says nothing', () => listening(createServer())],
    ['something listens that speaks another language', () => listening(createHttpServer())],
  ])('starts on a folder whose server was killed, whose process id is another’s, and on whose port %s', async (_, listen) => {
    await leaveBehind(startSleeper().pid, await listen());
    const cluster = await startCluster(home);
    closing.push(() => cluster.stop());
    expect(await ask(cluster, 'select one from kept')).toEqual([{ one: 1 }]);
  });

  it('starts on a folder whose server was killed, and whose process id and port belong to another server', async () => {
    const elsewhere = makeHome();
    closing.push(() => rmSync(elsewhere, { recursive: true, force: true }));
    const other = await startCluster(elsewhere);
    closing.push(() => other.stop());
    await leaveBehind(startSleeper().pid, Number(new URL(other.url('postgres')).port));
    const cluster = await startCluster(home);
    closing.push(() => cluster.stop());
    expect(await ask(cluster, 'select one from kept')).toEqual([{ one: 1 }]);
  });

  it('does not start beside a server that is there, though it does not answer', async () => {
    const cluster = await startCluster(home);
    const pid = Number(readFileSync(file(), 'utf8').split('\n')[0]);
    makeOld();
    process.kill(pid, 'SIGSTOP');
    closing.push(() => void process.kill(pid, 'SIGKILL'));
    await expect(startCluster(home)).rejects.toThrow(/does not start on[^]*shared memory block[^]*still in use/);
    process.kill(pid, 'SIGCONT');
    // Postgres ends a server whose file is no longer its own.
    expect(readFileSync(file(), 'utf8').split('\n')[0]).toBe(String(pid));
    expect(await ask(cluster, 'select 1 as one')).toEqual([{ one: 1 }]);
  });
});
