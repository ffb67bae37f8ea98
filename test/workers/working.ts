import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type pg from 'pg';
import { expect, vi } from 'vitest';
import { startWorkers, type WorkerParts } from '../../src/workers/start.ts';
import { environmentOn } from '../support/backends.ts';
import { credits } from '../support/account-samples.ts';
import { openLedger, type TestLedger } from '../support/ledger.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** In ms: a bound on what is waited for, not a measure of it. */
const PATIENCE = { timeout: 20_000, interval: 20 };

/** Waits until a check no longer throws. */
export async function eventually(check: () => Promise<void> | void): Promise<void> {
  await vi.waitFor(check, PATIENCE);
}

/** Workers with a context of their own, as a process has them. Whoever calls closes them. */
export async function openWorkers(
  url: string,
  parts: Partial<WorkerParts> = {},
): Promise<{ readonly ledger: TestLedger; close(): Promise<void> }> {
  const ledger = await openLedger(url);
  const workers = startWorkers({ ...ledger.context, ...parts });
  return {
    ledger,
    async close() {
      await workers.close();
      await ledger.close();
    },
  };
}

/** A process that runs the workers. */
export type WorkerProcess = {
  /** Ends it without a word, as a crash does. */
  kill(): Promise<void>;
  /** Asks it to end. Returns its exit code. */
  stop(): Promise<number | null>;
};

/** Starts a process with workers and waits until they run. Whoever calls ends it. */
export async function startWorkerProcess(url: string): Promise<WorkerProcess> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/worker.ts'], {
    cwd: ROOT,
    env: { PATH: process.env['PATH'], ...environmentOn(url) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await running(child);
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    return child.exitCode;
  };
  return {
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  };
}

async function running(child: ChildProcess): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const hear = (text: Buffer): void => {
      said += text.toString();
      if (said.includes('workers are running')) resolve();
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the workers ended with ${code}:\n${said}`)));
  });
}

/** How many events are neither applied nor parked: in all, and of those up to the position that counts as applied. */
export async function unapplied(superuser: pg.Client): Promise<{ readonly all: number; readonly passedOver: number }> {
  const { rows } = await superuser.query<{ all: string; passed_over: string }>(
    `select count(*) as all, count(*) filter (where e.position <= (select position::bigint from read_model.applied)) as passed_over
     from ledger.events e join ledger.streams s on s.id = e.stream_id
     left join read_model.checkpoints c on c.stream = s.name
     where coalesce(c.revision, -1) < e.revision and not exists (select from read_model.parked p where p.stream = s.name)`,
  );
  return { all: Number(rows[0]?.all), passedOver: Number(rows[0]?.passed_over) };
}

/** Waits until everything is applied, and the router knows. Nothing may be passed over on the way. */
export async function caughtUp(superuser: pg.Client): Promise<void> {
  let mostPassedOver = 0;
  await eventually(async () => {
    const { all, passedOver } = await unapplied(superuser);
    mostPassedOver = Math.max(mostPassedOver, passedOver);
    if (mostPassedOver > 0) return;
    expect(all).toBe(0);
    const { rows } = await superuser.query<{ there: boolean }>(
      'select position::bigint = (select coalesce(max(position), 0) from ledger.events) as there from read_model.applied',
    );
    expect(rows[0]?.there).toBe(true);
  });
  expect(mostPassedOver).toBe(0);
  expect(await unapplied(superuser)).toEqual({ all: 0, passedOver: 0 });
}

/** An hour of work in a moment: holds, commits, releases and uses of some accounts, each in order, all at once. */
export async function work(ledger: TestLedger, users: readonly string[], rounds = 5): Promise<void> {
  await Promise.all(
    users.map(async (user) => {
      const account = ledger.account(user);
      await account.grant(credits(1_000));
      for (let round = 0; round < rounds; round += 1) {
        const hold = await account.reserve(credits(3));
        await account.use(credits(1));
        if (round % 3 === 2) await account.release(hold.revision);
        else await account.commit(hold.revision, credits(2));
      }
    }),
  );
}

/** So many names, each with a number. */
export function names(prefix: string, count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${prefix} ${index}`);
}
