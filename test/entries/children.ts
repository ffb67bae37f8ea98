import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { vi } from 'vitest';

export const ROOT = join(import.meta.dirname, '..', '..');

/** In ms: how long a process may take to say something or to end, on a machine that is busy with other things. */
const SAYS_WITHIN = 60_000;
const ENDS_WITHIN = 40_000;

export type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** A process that a test has started. */
export type Child = {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** What a pattern's first group finds in what is printed, as soon as it does. Rejects where the process ends before. */
  says(pattern: RegExp): Promise<string>;
  /** Sends a signal: to the process, or to all that it was started with, as a terminal does. */
  kill(signal: NodeJS.Signals, to?: 'process' | 'group'): void;
  /** How it ended. Rejects where it takes too long to. */
  ended(): Promise<Ended>;
};

export type Start = {
  readonly command?: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
};

const running = new Set<ChildProcess>();

/** Starts a process in a group of its own. What of it is still there at the end of a test file is killed. */
export function startChild({ command = process.execPath, args, env = {}, cwd = ROOT }: Start): Child {
  const started = spawn(command, args, {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...cleanEnv(), ...env },
  });
  running.add(started);
  const printed = { stdout: '', stderr: '' };
  started.stdout.setEncoding('utf8').on('data', (text: string) => void (printed.stdout += text));
  started.stderr.setEncoding('utf8').on('data', (text: string) => void (printed.stderr += text));
  let end: Ended | undefined;
  const ended = new Promise<Ended>((resolve, reject) => {
    started.once('error', reject);
    // Not before all that it printed has been read.
    started.once('close', (code, signal) => {
      running.delete(started);
      end = { code, signal };
      resolve(end);
    });
  });
  const pid = started.pid ?? 0;
  return {
    pid,
    stdout: () => printed.stdout,
    stderr: () => printed.stderr,
    says: (pattern) =>
      vi.waitUntil(
        () => {
          const found = pattern.exec(printed.stdout)?.[1];
          if (found === undefined && end !== undefined) {
            throw new Error(`ended with ${end.code ?? end.signal} before ${pattern}:\n${printed.stdout}${printed.stderr}`);
          }
          return found;
        },
        { timeout: SAYS_WITHIN, interval: 20 },
      ),
    kill: (signal, to = 'process') => void process.kill(to === 'group' ? -pid : pid, signal),
    ended: () => bounded(ended, () => `not ended:\n${printed.stdout}${printed.stderr}`),
  };
}

/** What the process in question is configured with stands in the test alone. */
function cleanEnv(): NodeJS.ProcessEnv {
  const ours = [
    'PORT',
    'HOST',
    'DATABASE_URL',
    'MIGRATION_DATABASE_URL',
    'REDIS_URL',
    'REDIS_PREFIX',
    'EVENTSTORE_URL',
    'EVENTSTORE_PREFIX',
    'MANA_TEST_ON',
    'MANA_AUTH_URL',
    'JWT_SECRET',
    'MANA_SERVICE_KEY',
  ];
  const others = ['BASE_URL', 'LOG_LEVEL', 'SIGNUP_GRANT', 'SHUTDOWN_DRAIN', 'DATA_DIR', 'NODE_OPTIONS', 'NODE_ENV'];
  const limits = ['CORS_ORIGINS', 'TRUST_PROXY', 'RATE_LIMIT', 'RATE_LIMIT_USER', 'RATE_LIMIT_SERVICE', 'RATE_LIMIT_ADDRESS'];
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => ![...ours, ...others, ...limits].includes(name) && !name.startsWith('VITEST')),
  );
}

function bounded<Value>(promise: Promise<Value>, message: () => string): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(message())), ENDS_WITHIN);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Kills what a test has left running. */
export function killAll(): void {
  for (const { pid } of running) {
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}

/** The process id of the Postgres that runs on a data folder; undefined where none does. */
export function postgresOn(home: string): number | undefined {
  const file = join(home, 'postgres', 'postmaster.pid');
  if (!existsSync(file)) return undefined;
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0]);
  return isRunning(pid) ? pid : undefined;
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
