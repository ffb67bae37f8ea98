import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectAsFolded } from '../projections/projecting.ts';
import { useLedger } from '../support/ledger.ts';
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { closeAfterEach, openWorkersOn, type RedisWorkers, reasons, routersEnded } from './on-redis.ts';
import { caughtUp, eventually, names, unapplied, work } from './working.ts';

/*
 * Redis knows nothing that isn't known elsewhere: whatever happens to it in the middle of work, everything that was
 * written is applied in the end, once and in order.
 */

const bench = useLedger();

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(() => redis?.stop());
closeAfterEach();

const workers = () => openWorkersOn(bench.database.url, redis.url);

/** Everything is applied, and as it is in the log. */
async function isApplied(...all: readonly RedisWorkers[]): Promise<void> {
  await caughtUp(bench.database.superuser);
  await Promise.all(all.map((one) => one.close()));
  await expectAsFolded(bench.ledger.context, bench.database.superuser);
}

/** Nothing of what is written now can be applied. */
async function isBehind(): Promise<void> {
  await eventually(async () => expect((await unapplied(bench.database.superuser)).all).toBeGreaterThan(0));
}

it('flushed again and again while two processes work', async () => {
  const both = await Promise.all([workers(), workers()]);
  const working = work(bench.ledger, names('flushed', 20), 10);
  for (let times = 0; times < 10; times += 1) {
    await eventually(async () => expect(await redis.countKeys('test:signals')).toBeGreaterThan(0));
    await redis.flush();
    await work(bench.ledger, names(`flushed ${times}`, 3), 2);
  }
  await working;
  await isApplied(...both);
});

it('killed and started again, empty, while two processes work', async () => {
  const both = await Promise.all([workers(), workers()]);
  const working = work(bench.ledger, names('killed', 20), 10);
  for (let times = 0; times < 3; times += 1) {
    await redis.kill();
    await work(bench.ledger, names(`killed ${times}`, 5), 2);
    await redis.start();
    await work(bench.ledger, names(`started ${times}`, 5), 2);
    await caughtUp(bench.database.superuser);
  }
  await working;
  await isApplied(...both);
});

it('paused until the connections to it are given up, and resumed', { timeout: 60_000 }, async () => {
  const one = await workers();
  await work(bench.ledger, names('before a pause', 5));
  await caughtUp(bench.database.superuser);
  redis.pause();
  try {
    await work(bench.ledger, names('paused', 20));
    await isBehind();
    // The router's connection first, and more than once; the worker's, which may wait for a job, later.
    await eventually(() => expect(routersEnded(one)).toBeGreaterThan(1));
    await eventually(() => expect(reasons(one)).toContainEqual(expect.stringMatching(/^Socket timeout.* 15000ms/)));
    await work(bench.ledger, names('still paused', 5));
  } finally {
    redis.resume();
  }
  await work(bench.ledger, names('resumed', 5));
  await isApplied(one);
});

it('paused for moments, again and again', async () => {
  const both = await Promise.all([workers(), workers()]);
  for (let times = 0; times < 5; times += 1) {
    const working = work(bench.ledger, names(`moment ${times}`, 10), 3);
    redis.pause();
    try {
      await isBehind();
    } finally {
      redis.resume();
    }
    await working;
  }
  await isApplied(...both);
});

it('full, and then not', async () => {
  const one = await workers();
  await work(bench.ledger, names('before it is full', 5));
  await caughtUp(bench.database.superuser);
  await redis.fill();
  try {
    await work(bench.ledger, names('full', 20));
    await isBehind();
    await eventually(() => expect(routersEnded(one)).toBeGreaterThan(1));
    expect(one.text()).toContain('OOM command not allowed');
  } finally {
    await redis.unfill();
  }
  await isApplied(one);
});

it('not there yet when workers start, who wait for it and go on', async () => {
  await redis.kill();
  const one = await workers();
  try {
    await work(bench.ledger, names('not there yet', 10));
    await isBehind();
    await eventually(() => expect(routersEnded(one)).toBeGreaterThan(0));
    expect(one.lines()).toContainEqual(
      expect.objectContaining({
        msg: 'Redis at the REDIS_URL cannot be used: read models wait for it, commands do not',
        server: redis.url,
        reason: `connect ECONNREFUSED 127.0.0.1:${redis.port}`,
      }),
    );
  } finally {
    await redis.start();
  }
  await eventually(() => expect(one.lines()).toContainEqual(expect.objectContaining({ msg: 'Redis can be used again' })));
  await isApplied(one);
});

it('paused when workers start, who wait for it and go on', async () => {
  redis.pause();
  try {
    const one = await workers();
    await work(bench.ledger, names('paused at first', 10));
    await eventually(() => expect(routersEnded(one)).toBeGreaterThan(1));
    redis.resume();
    await isApplied(one);
  } finally {
    redis.resume();
  }
});
