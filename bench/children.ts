import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '..');
const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 30_000;

/** One of the project's processes. */
export type Child = { readonly pid: number; readonly exited: () => boolean; stop(): Promise<void> };

/** One of the project's entries in a process of its own. One that ends by itself says so on standard error. */
export function startChild(entry: string, settings: Readonly<Record<string, string>>, flags: readonly string[] = []): Child {
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

/** Waits until an API answers. Rejects where it ends before, or takes too long. */
export async function untilHealthy(port: number, child: Child): Promise<void> {
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

/** A port that nobody listens on. */
export function freePort(): Promise<number> {
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
