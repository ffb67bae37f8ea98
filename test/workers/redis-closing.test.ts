import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killAll, startChild } from '../entries/children.ts';
import { expectAsFolded } from '../projections/projecting.ts';
import { useLedger } from '../support/ledger.ts';
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { closeAfterEach, openWorkersOn } from './on-redis.ts';
import { caughtUp, eventually, names, unapplied, work } from './working.ts';

/* Workers that are closed don't wait for Redis, in whatever state it is; and a process of workers ends by itself. */

const bench = useLedger();

/** In ms: a process is given 15 s before what it hasn't closed is cut. */
const CLOSED_WITHIN = 10_000;

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(async () => {
  killAll();
  await redis?.stop();
});
closeAfterEach();

const STATES = [
  ['is there', async () => undefined, async () => undefined],
  ['is gone', () => redis.kill(), () => redis.start()],
  ['is paused', async () => redis.pause(), async () => redis.resume()],
  ['is full', () => redis.fill(), () => redis.unfill()],
] as const;

/** What keeps this process awake: sockets and timers of the workers among it. */
function awake(): { readonly sockets: number; readonly timers: number } {
  const resources = process.getActiveResourcesInfo();
  return {
    sockets: resources.filter((kind) => kind.startsWith('TCP')).length,
    timers: resources.filter((kind) => kind === 'Timeout').length,
  };
}

/** Closes, and waits until nothing is left of what was opened. The check itself takes a timer. */
async function closes(one: { close(): Promise<void> }, before: ReturnType<typeof awake>): Promise<void> {
  const began = performance.now();
  await one.close();
  expect(performance.now() - began).toBeLessThan(CLOSED_WITHIN);
  await eventually(() => {
    const { sockets, timers } = awake();
    expect(sockets).toBeLessThanOrEqual(before.sockets);
    expect(timers).toBeLessThanOrEqual(before.timers + 1);
  });
}

describe.each(STATES)('workers are closed within a bound where Redis %s', (_, happen, mend) => {
  it('in the middle of their work, and what they leave is done by others', async () => {
    const before = awake();
    const one = await openWorkersOn(bench.database.url, redis.url);
    await work(bench.ledger, names('before', 3));
    await caughtUp(bench.database.superuser);
    const working = work(bench.ledger, names('closing', 10), 8);
    await eventually(async () => expect((await unapplied(bench.database.superuser)).all).toBeGreaterThan(0));
    await happen();
    try {
      await closes(one, before);
      await working;
    } finally {
      await mend();
    }
    const next = await openWorkersOn(bench.database.url, redis.url);
    await caughtUp(bench.database.superuser);
    await next.close();
    await expectAsFolded(bench.ledger.context, bench.database.superuser);
  });

  it('before they have reached it', async () => {
    const before = awake();
    await happen();
    try {
      await closes(await openWorkersOn(bench.database.url, redis.url), before);
    } finally {
      await mend();
    }
  });
});

describe.each(STATES.slice(1))('a process of workers where Redis %s', (_, happen, mend) => {
  it('starts, and ends with 0 when it is asked to', { timeout: 60_000 }, async () => {
    const env = { DATABASE_URL: bench.database.url, REDIS_URL: redis.url };
    const running = startChild({ args: ['--import', 'tsx', 'src/worker.ts'], env });
    await running.says(/(workers are running)/);
    await work(bench.ledger, names('process', 5));
    await caughtUp(bench.database.superuser);
    await happen();
    try {
      const second = startChild({ args: ['--import', 'tsx', 'src/worker.ts'], env });
      await second.says(/(workers are running)/);
      await work(bench.ledger, names('meanwhile', 5));
      for (const child of [running, second]) {
        child.kill('SIGTERM');
        expect(await child.ended()).toEqual({ code: 0, signal: null });
        expect(child.stdout()).not.toContain('not closed in time');
        expect(child.stderr()).toBe('');
      }
    } finally {
      await mend();
    }
  });
});
