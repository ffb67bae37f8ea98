import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type ApiClient, giveCredits, granted, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type RedisServer, startRedisServer } from '../support/redis-server.ts';
import { type Service, startService } from '../support/service.ts';

/* The queue carries hints to read models. No command waits for it, and no answer rests on it. */

const SERVICES = '/api/v1/internal/credits';

/** In ms: a command that waited for Redis would wait for its time-outs. */
const PROMPT = 2_000;
const RECOVERS = { timeout: 20_000, interval: 50 };

let database: TestDatabase;
let redis: RedisServer;
let service: Service;
let app: ApiClient;

beforeAll(async () => {
  database = await createTestDatabase();
  redis = await startRedisServer();
  service = await startService({
    databaseUrl: database.url,
    workers: true,
    env: { REDIS_URL: redis.url, REDIS_PREFIX: 'http' },
  });
  app = service.app();
});

afterAll(async () => {
  await service?.close();
  await redis?.stop();
  await database?.close();
});

const ready = async () => (await service.anonymous.get('/ready')) as { status: number; body: Record<string, unknown> };

async function isCaughtUp(): Promise<void> {
  await vi.waitFor(async () => {
    const { status, body } = await ready();
    expect([status, body]).toEqual([200, { status: 'ready', store: true, database: true, queue: true, projectionLag: 0 }]);
  }, RECOVERS);
}

/** Uses, holds, settles and gives back credits, one after the other. */
async function spend(user: string): Promise<void> {
  const began = performance.now();
  granted(await app.post(`${SERVICES}/use`, { userId: user, amount: 1 }));
  const hold = await holdCredits(app, user, 10);
  const other = await holdCredits(app, user, 10);
  granted(await app.post(`${SERVICES}/commit`, { reservationId: hold, amount: 4 }));
  granted(await app.post(`${SERVICES}/refund-reservation`, { reservationId: other }));
  granted(await (await service.user(user)).post('/api/v1/credits/use', { amount: 1 }));
  expect(performance.now() - began).toBeLessThan(PROMPT * 6);
}

describe.each([
  ['gone', () => redis.kill(), () => redis.start()],
  ['paused', async () => redis.pause(), async () => redis.resume()],
  ['full', () => redis.fill(), () => redis.unfill()],
])('while Redis is %s', (state, happen, mend) => {
  it('commands are answered as ever, /ready says that the queue is not there, and reads follow when it is back', async () => {
    const user = `user-while-${state}`;
    await giveCredits(app, user, 100);
    await isCaughtUp();
    await happen();
    try {
      await spend(user);
      await spend(user);
      const { status, body } = await ready();
      expect(status).toBe(503);
      expect(body).toMatchObject({ status: 'unavailable', store: true, database: true, queue: false });
      expect(body['projectionLag']).toBeGreaterThan(0);
      expect((await service.anonymous.get('/health')).status).toBe(200);
      expect((await service.anonymous.get('/metrics')).status).toBe(200);
    } finally {
      await mend();
    }
    await isCaughtUp();
    const { body } = await app.get(`${SERVICES}/balance/${user}`);
    expect(body).toMatchObject({ balance: 100 - 2 * 6, reserved: 0, totalSpent: 12 });
  }, 60_000);
});

it('a REDIS_URL where nothing listens does not keep the service from starting', async () => {
  const alone = await startService({ databaseUrl: database.url, workers: true, env: { REDIS_URL: 'redis://127.0.0.1:1' } });
  try {
    const { url } = alone;
    await giveCredits(alone.app(), 'no-redis', 5);
    granted(await alone.app().post(`${SERVICES}/use`, { userId: 'no-redis', amount: 1 }));
    expect(await (await fetch(`${url}/ready`)).json()).toMatchObject({ queue: false, store: true, database: true });
    await vi.waitFor(() => expect(alone.logged.join('')).toContain('Redis at the REDIS_URL cannot be used'), RECOVERS);
  } finally {
    await alone.close();
  }
});
