import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { readConfig } from '../../src/config.ts';
import type { Signal } from '../../src/projections/project.ts';
import { openQueue, pingQueue, type QueueConnection, workQueue } from '../../src/workers/queues.ts';
import { killAll, startChild } from '../entries/children.ts';
import { makeCertificate } from '../support/kurrent/certificate.ts';
import { useLedger } from '../support/ledger.ts';
import { type RedisServer, type RedisSettings, startRedisServer } from '../support/redis-server.ts';
import { closeAfterEach, openWorkersOn, reasons } from './on-redis.ts';
import { caughtUp, eventually, names, work } from './working.ts';

/* What a REDIS_URL may say, and what is said of one that is wrong. */

const PASSWORD = 'p@ss/w:rd of redis';

const bench = useLedger();

let redis: RedisServer | undefined;
const start = async (settings: RedisSettings = {}): Promise<RedisServer> => (redis = await startRedisServer(settings));
closeAfterEach();
afterEach(async () => {
  await redis?.stop();
});
afterAll(killAll);

const at = (url: string): QueueConnection => ({ kind: 'redis', url, prefix: 'test' });
/** Postgres has no part in whether Redis answers. */
const ping = (url: string) => pingQueue(at(url), undefined as never);

describe('a server with a password', () => {
  it('is used with the password of the URL', async () => {
    const { url } = await start({ password: PASSWORD });
    const one = await openWorkersOn(bench.database.url, url);
    await work(bench.ledger, names('with a password', 5));
    await caughtUp(bench.database.superuser);
    expect(reasons(one)).toEqual([]);
    await ping(url);
  });

  it.each([
    ['a wrong one', ':not-the-password@', /^WRONGPASS/],
    ['none', '', /NOAUTH/],
  ])('with %s: the log says so, and no password', async (_, credentials, reason) => {
    const { port } = await start({ password: PASSWORD });
    const url = `redis://${credentials}127.0.0.1:${port}`;
    const one = await openWorkersOn(bench.database.url, url);
    await eventually(() => expect(reasons(one)).toContainEqual(expect.stringMatching(reason)));
    await work(bench.ledger, names('without a password', 2));
    await eventually(() => expect(one.text()).toContain('a term as leader ended early'));
    expect(one.lines()).toContainEqual(expect.objectContaining({ server: `redis://127.0.0.1:${port}` }));
    expect(one.text()).not.toContain('not-the-password');
    await expect(ping(url)).rejects.toThrow(reason);
  });
});

it('a server behind TLS is used with rediss://, under an authority that the process knows', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mana-tls-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  const made = makeCertificate();
  writeFileSync(certificate, made.certificate);
  writeFileSync(key, made.key);
  const args = ['--tls-port', '0', '--tls-cert-file', certificate, '--tls-key-file', key, '--tls-auth-clients', 'no'];
  const { port, set, countKeys } = await start({ args: [...args, '--tls-ca-cert-file', certificate] });
  // The port for the test's own commands stays as it is.
  const tlsPort = port + 1;
  await set('tls-port', String(tlsPort));
  const url = `rediss://127.0.0.1:${tlsPort}`;
  await expect(ping(url)).rejects.toThrow(/self-signed certificate/);

  const env = { DATABASE_URL: bench.database.url, REDIS_URL: url, REDIS_PREFIX: 'tls', NODE_EXTRA_CA_CERTS: certificate };
  const child = startChild({ args: ['--import', 'tsx', 'src/worker.ts'], env });
  await child.says(/(workers are running)/);
  await work(bench.ledger, names('behind TLS', 5));
  await caughtUp(bench.database.superuser);
  expect(await countKeys('tls:signals:')).toBeGreaterThan(0);
  child.kill('SIGTERM');
  expect(await child.ended()).toEqual({ code: 0, signal: null });
});

it('a REDIS_URL that is none is refused before anything starts, and tells no password', () => {
  const read = (url: string) => readConfig({ DATABASE_URL: bench.database.url, REDIS_URL: url });
  expect(() => read('redis://:pass/word@127.0.0.1')).toThrow(/REDIS_URL: must be a URL, with special characters of a password/);
  expect(() => read('redis://:pass/word@127.0.0.1')).not.toThrow(/pass\/word/);
  expect(() => read('http://127.0.0.1:6379')).toThrow(/REDIS_URL: must begin with redis:/);
  expect(read('rediss://user:pass%2Fword@127.0.0.1:6380/2').redisUrl).toBe('rediss://user:pass%2Fword@127.0.0.1:6380/2');
});

it('two ledgers on one server, with prefixes of their own, do not see each other’s jobs', async () => {
  const { url, countKeys } = await start();
  const log = pino({ level: 'silent' });
  const queues = ['one', 'other'].map((prefix) => openQueue({ kind: 'redis', url, prefix }, log));
  try {
    await queues[0]?.send([[{ stream: 'account-a', revision: 1 }]]);
    expect(await countKeys('one:signals:wait')).toBe(1);
    expect(await countKeys('other:signals:wait')).toBe(0);
  } finally {
    await Promise.all(queues.map((queue) => queue.close()));
  }
});

it('holds some 1,000 jobs at the most where nobody works on them, and more once somebody does', async () => {
  const { url } = await start();
  const log = pino({ level: 'silent' });
  const queue = openQueue(at(url), log);
  const waiting = new Redis(url);
  const count = () => waiting.llen('test:signals:wait');
  try {
    const send = async (times: number) => {
      for (let time = 0; time < times; time += 1)
        await queue.send([[{ stream: 'a', revision: time }], [{ stream: 'b', revision: time }]]);
    };
    await send(1_100);
    const full = await count();
    expect(full).toBeGreaterThanOrEqual(1_000);
    expect(full).toBeLessThan(1_010);
    const handled: number[] = [];
    const worker = workQueue(at(url), { concurrency: 4, log }, async (signals) => void handled.push(signals.length));
    try {
      await eventually(async () => expect(await count()).toBe(0));
      await send(1);
      // Both signals of a round are in one job.
      await eventually(() => expect(handled).toEqual(Array.from({ length: full + 1 }, () => 2)));
    } finally {
      await worker.close();
    }
  } finally {
    waiting.disconnect();
    await queue.close();
  }
});

it('a worker that can not fetch jobs, since Redis is full, rests between its tries, and goes on', async () => {
  const server = await start();
  const said: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void said.push(line) });
  const queue = openQueue(at(server.url), log);
  const handled: number[] = [];
  try {
    for (const revision of [0, 1, 2]) await queue.send([[{ stream: 'a', revision }]]);
    await server.fill();
    const began = performance.now();
    const handle = async (signals: readonly Signal[]) => void handled.push(...signals.map(({ revision }) => revision));
    const worker = workQueue(at(server.url), { concurrency: 1, log }, handle);
    try {
      await eventually(async () => expect(await server.countRefused()).toBeGreaterThan(4));
      expect(performance.now() - began).toBeGreaterThan(2_000);
      expect(handled).toEqual([]);
      // The same trouble is said once; each script of the queue has one of its own.
      const reasonsSaid = said.map((line) => (JSON.parse(line) as { reason?: string }).reason);
      expect(reasonsSaid).toContainEqual(expect.stringMatching(/^OOM/));
      expect(new Set(reasonsSaid).size).toBe(reasonsSaid.length);
      await server.unfill();
      await eventually(() => expect(new Set(handled)).toEqual(new Set([0, 1, 2])));
    } finally {
      await worker.close();
    }
  } finally {
    await queue.close();
  }
});

it('a server that may remove keys of the queue gets a warning', async () => {
  const { url, set } = await start();
  await set('maxmemory-policy', 'allkeys-lru');
  const one = await openWorkersOn(bench.database.url, url);
  await eventually(() => expect(one.lines()).toContainEqual(expect.objectContaining({ level: 40, policy: 'allkeys-lru' })));
});

describe('a server counts as reachable', () => {
  it('where it takes writes, and in no other state', async () => {
    const server = await start();
    await ping(server.url);
    await server.fill();
    await expect(ping(server.url)).rejects.toThrow(/OOM/);
    await server.unfill();
    await ping(server.url);
    server.pause();
    const began = performance.now();
    await expect(ping(server.url)).rejects.toThrow(/no answer/);
    expect(performance.now() - began).toBeLessThan(5_000);
    server.resume();
    await ping(server.url);
    await server.kill();
    await expect(ping(server.url)).rejects.toThrow(/ECONNREFUSED/);
    await server.start();
    await ping(server.url);
  });
});
