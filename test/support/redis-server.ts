import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** In ms: how long the program may take until it answers. */
const STARTS_WITHIN = 20_000;
/** Somebody else may take a port between our finding it free and the server's listening there. */
const PORTS_TRIED = 5;

/** A real Redis of a test's own, which keeps nothing on disk. Whoever starts it stops it. */
export type RedisServer = {
  /** With the password, where there is one. */
  readonly url: string;
  readonly port: number;
  /** Forgets everything, as FLUSHALL does. */
  flush(): Promise<void>;
  /** From now on refuses what takes memory, and removes nothing to make room. */
  fill(): Promise<void>;
  /** Takes writes again. */
  unfill(): Promise<void>;
  /** Sets one of its settings. */
  set(setting: string, value: string): Promise<void>;
  /** How many keys begin with a prefix. */
  countKeys(prefix: string): Promise<number>;
  /** How often it has refused something so far since it was full. */
  countRefused(): Promise<number>;
  /** Stops answering, as a machine does that swaps or a network that swallows: connections stay open. */
  pause(): void;
  resume(): void;
  /** Ends it without a word. What it knew is gone. */
  kill(): Promise<void>;
  /** Starts it again, empty, where it was. */
  start(): Promise<void>;
  /** Ends it and removes its folder. May be called twice. */
  stop(): Promise<void>;
};

export type RedisSettings = {
  readonly password?: string;
  /** Further arguments of the program, as in a configuration file: `['--tls-port', '0']`. */
  readonly args?: readonly string[];
};

/** Starts a server on a free port of this machine. Rejects with what to do where the program isn't installed. */
export async function startRedisServer({ password, args = [] }: RedisSettings = {}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'mana-redis-'));
  const settings = [...OF_EVERY_SERVER, '--dir', folder, ...(password === undefined ? [] : ['--requirepass', password]), ...args];
  try {
    const { port, child } = await startOnFreePort(settings);
    return serverOn({ port, child, settings, password, folder });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

const OF_EVERY_SERVER = ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--maxmemory-policy', 'noeviction'];

function serverOn(started: {
  readonly port: number;
  readonly child: ChildProcess;
  readonly settings: readonly string[];
  readonly password: string | undefined;
  readonly folder: string;
}): RedisServer {
  const { port, settings, password, folder } = started;
  let child: ChildProcess | undefined = started.child;
  const command = async (...words: readonly [string, ...string[]]): Promise<unknown> => {
    const redis = new Redis({
      port,
      host: '127.0.0.1',
      lazyConnect: true,
      retryStrategy: null,
      ...(password !== undefined && { password }),
    });
    redis.on('error', () => undefined);
    try {
      await redis.connect();
      const [name, ...rest] = words;
      return await redis.call(name, ...rest);
    } finally {
      redis.disconnect();
    }
  };
  const set = async (setting: string, value: string) => void (await command('config', 'set', setting, value));
  const kill = async (): Promise<void> => {
    const ending = child;
    child = undefined;
    if (ending === undefined) return;
    const ended = once(ending, 'exit');
    ending.kill('SIGKILL');
    await ended;
  };
  return {
    url: `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    port,
    flush: async () => void (await command('flushall')),
    fill: () => set('maxmemory', '1'),
    unfill: () => set('maxmemory', '0'),
    set,
    countKeys: async (prefix) => ((await command('keys', `${prefix}*`)) as readonly string[]).length,
    countRefused: async () =>
      Number(/^errorstat_OOM:count=(\d+)/m.exec((await command('info', 'errorstats')) as string)?.[1] ?? 0),
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    kill,
    async start() {
      if (child === undefined) child = await startProgram(port, settings);
    },
    async stop() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function startOnFreePort(settings: readonly string[]): Promise<{ readonly port: number; readonly child: ChildProcess }> {
  for (let left = PORTS_TRIED - 1; ; left -= 1) {
    const port = await freePort();
    try {
      return { port, child: await startProgram(port, settings) };
    } catch (error) {
      if (left === 0 || !String(error).includes('Address already in use')) throw error;
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A TCP server has an address of this kind once it listens.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Runs the program until it says that it is ready. */
async function startProgram(port: number, settings: readonly string[]): Promise<ChildProcess> {
  const child = spawn('redis-server', ['--port', String(port), ...settings], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let late: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      const hear = (text: Buffer): void => {
        said += text.toString();
        if (said.includes('Ready to accept connections')) resolve();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('error', (error) => reject(notStarted(error)));
      child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}:\n${said}`)));
      late = setTimeout(() => reject(new Error(`redis-server is not ready:\n${said}`)), STARTS_WITHIN);
    });
    return child;
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    clearTimeout(late);
  }
}

function notStarted(error: NodeJS.ErrnoException): Error {
  if (error.code !== 'ENOENT') return error;
  return new Error('These tests need the program redis-server: install it (Debian: apt-get install redis-server).', {
    cause: error,
  });
}
