import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import type { Account } from './account.ts';
import type { Binaries } from './binaries.ts';

const run = promisify(execFile);

/** The superuser of a cluster of our own. */
export const USER = 'mana';

/** A folder with a cluster, the programs and the account that work on it, and its superuser's password. */
export type DataFolder = {
  readonly folder: string;
  readonly account: Account;
  readonly binaries: Binaries;
  readonly password: string;
};

/** In ms: how long a server may take to answer, to listen once it has written its file, and to start or stop. */
const ANSWERS_WITHIN = 2_000;
const LISTENS_WITHIN = 10_000;
const SETTLES_WITHIN = 30_000;
const LOOK_AGAIN = 100;

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: one that is starting or stopping says this. */
const NOT_NOW = '57P03';
/** A password that is wrong: the server of another folder. */
const NOT_LET_IN: readonly unknown[] = ['28000', '28P01'];

/** No process has this id, on any system. */
const NO_PROCESS = 2_147_483_647;

/** What works on a data folder: a server, nothing, or nothing but the file that a killed server `left`, as it is. */
export type Found =
  | { readonly kind: 'running'; readonly port: number }
  | { readonly kind: 'none' }
  | { readonly kind: 'left'; readonly file: string };

/**
 * Looks which server works on a data folder. Waits for one that is starting or stopping; rejects where that takes too
 * long.
 *
 * A server that was killed leaves its file behind, and the process id in it may be another process' by now, which Postgres
 * would take for the server's. So what counts is whether our server answers on the port in that file.
 */
export async function findServer({ folder, account, binaries, password }: DataFolder): Promise<Found> {
  const giveUpAt = performance.now() + SETTLES_WITHIN;
  while (await seemsToRun(folder, account, binaries)) {
    const { text, port, age } = readPidFile(folder);
    const answer = port === undefined ? 'nobody' : await whoAnswers(port, password);
    if (answer === 'ours' && port !== undefined) return { kind: 'running', port };
    if (answer === 'nobody' && age > LISTENS_WITHIN) return { kind: 'left', file: text };
    if (performance.now() > giveUpAt) throw new Error(`Postgres on ${folder} does not get ready: stop it, or wait.`);
    await delay(LOOK_AGAIN);
  }
  return { kind: 'none' };
}

/** Whether there is a process with the id in the folder's file. */
async function seemsToRun(folder: string, account: Account, binaries: Binaries): Promise<boolean> {
  try {
    await run(binaries.pgCtl, ['status', '-D', folder], { ...account, cwd: folder });
    return true;
  } catch {
    return false;
  }
}

const pidFile = (folder: string): string => join(folder, 'postmaster.pid');

/** The file, the port in it, once it is there, and how long ago it was written, in ms. */
function readPidFile(folder: string): { readonly text: string; readonly port: number | undefined; readonly age: number } {
  try {
    const text = readFileSync(pidFile(folder), 'utf8');
    // https://www.postgresql.org/docs/current/storage-file-layout.html: the port stands in the fourth line.
    const port = Number(text.split('\n')[3]);
    return { text, port: port > 0 ? port : undefined, age: Date.now() - statSync(pidFile(folder)).mtimeMs };
  } catch {
    // It has gone since we looked.
    return { text: '', port: undefined, age: 0 };
  }
}

/** Who answers on a port of this machine: the server with our password, one that isn't ready for us, or no such one. */
async function whoAnswers(port: number, password: string): Promise<'ours' | 'busy' | 'nobody'> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: USER,
    password,
    database: 'postgres',
    connectionTimeoutMillis: ANSWERS_WITHIN,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return 'ours';
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || NOT_LET_IN.includes(error.code)) return 'nobody';
    return error.code === NOT_NOW ? 'busy' : 'ours';
  } finally {
    await client.end().catch(() => undefined);
  }
}

/**
 * Takes the process id out of a file that a killed server left; returns what puts it back. The rest of it stays: by that
 * Postgres finds out by itself, before it starts, whether anything of the old server is still at work on the folder.
 */
export function disown(folder: string, left: string): () => void {
  const [, ...rest] = left.split('\n');
  const disowned = [NO_PROCESS, ...rest].join('\n');
  replaceFile(pidFile(folder), left, disowned);
  return () => replaceFile(pidFile(folder), disowned, left);
}

/** Replaces what a file holds, and not when it was written; leaves alone what another process has written meanwhile. */
function replaceFile(file: string, was: string, becomes: string): void {
  if (!existsSync(file) || readFileSync(file, 'utf8') !== was) return;
  const { atime, mtime } = statSync(file);
  writeFileSync(file, becomes);
  utimesSync(file, atime, mtime);
}
