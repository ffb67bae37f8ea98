import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, type ApiClient, giveCredits, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { lengthOf } from '../support/log-of.ts';
import { type Service, startService } from '../support/service.ts';
import { allowConnections, expectUnavailable, refuseConnections } from './connections.ts';

const SERVICES = '/api/v1/internal/credits';
/** Calls that arrive at once. */
const TOGETHER = 200;

let database: TestDatabase;
let service: Service;
let app: ApiClient;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url });
  app = service.app();
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

describe('503 store_unavailable', () => {
  it('is the answer of every route while Postgres is gone, and the same keys succeed when it is back', async () => {
    await giveCredits(app, 'outage-user', 100);
    const reservationId = await holdCredits(app, 'outage-user', 10);
    const released = await holdCredits(app, 'outage-user', 10);
    const user = await service.user('outage-user');
    const key = (name: string) => ({ 'idempotency-key': `outage-${name}` });
    const commands = (): Promise<Answer>[] => [
      app.post(`${SERVICES}/init`, { userId: 'outage-new' }, key('init')),
      app.post(`${SERVICES}/use`, { userId: 'outage-user', amount: 1, description: 'personal' }, key('use')),
      app.post(`${SERVICES}/use`, { userId: 'outage-nobody', amount: 1 }, key('nobody')),
      app.post(`${SERVICES}/reserve`, { userId: 'outage-user', amount: 1 }, key('reserve')),
      app.post(`${SERVICES}/commit`, { reservationId, amount: 5 }, key('commit')),
      app.post(`${SERVICES}/refund-reservation`, { reservationId: released }, key('release')),
      app.post(`${SERVICES}/grant`, { userId: 'outage-user', amount: 1, reason: 'r', referenceId: 'r' }, key('grant')),
      user.post('/api/v1/credits/use', { amount: 1 }, key('use')),
    ];
    await refuseConnections(database);
    try {
      for (const answer of await Promise.all(commands())) expectUnavailable(answer);
      for (const path of [
        `${SERVICES}/balance/outage-user`,
        `${SERVICES}/balance/outage-nobody`,
        `${SERVICES}/transactions/outage-user`,
        `${SERVICES}/usage/outage-user`,
        `${SERVICES}/explain/outage-user`,
        `${SERVICES}/reservations/${reservationId}`,
      ]) {
        expectUnavailable(await app.get(path));
      }
      expectUnavailable(await app.post(`${SERVICES}/validate`, { userId: 'outage-user', amount: 1 }));
      expectUnavailable(await user.get('/api/v1/credits/balance'));
      expectUnavailable(await user.get('/api/v1/credits/transactions'));
    } finally {
      await allowConnections(database);
    }
    const statuses = (await Promise.all(commands())).map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 402, 200, 200, 200, 200, 200]);
    // Nothing had been written before.
    expect(await countOf('account-outage-user')).toBe(4 + 6);
  });

  it('still refuses what is wrong in itself, and still knows who may call', async () => {
    await refuseConnections(database);
    try {
      expect((await app.post(`${SERVICES}/use`, { userId: 'u', amount: -1 })).status).toBe(400);
      expect((await app.post(`${SERVICES}/commit`, { reservationId: 'nonsense' })).status).toBe(404);
      expect((await service.anonymous.get(`${SERVICES}/balance/u`)).status).toBe(401);
      await app.get(`${SERVICES}/balance/u`, { 'x-correlation-id': 'trace-outage' });
    } finally {
      await allowConnections(database);
    }
  });
});

describe('503 overloaded', () => {
  it('refuses at once what is more than a process will hold, and answers all the rest', async () => {
    await giveCredits(app, 'hot-user', 1);
    const release = blockAppends();
    const statuses: number[] = [];
    const refused: Answer[] = [];
    const use = async (index: number): Promise<void> => {
      const answer = await app.post(`${SERVICES}/use`, { userId: 'hot-user', amount: 0.000001, idempotencyKey: `hot-${index}` });
      statuses.push(answer.status);
      if (answer.status === 503) refused.push(answer);
    };
    const calls: Promise<void>[] = [];
    for (let index = 0; index < 2_600; index += TOGETHER) {
      for (let next = index; next < index + TOGETHER; next += 1) calls.push(use(next));
      // Not all at once: the system, too, keeps only so many connections that nobody has taken yet.
      const arrived = () => service.context.accounts.waiting + statuses.length === calls.length;
      await vi.waitUntil(arrived, { timeout: 20_000, interval: 5 });
    }
    // Whoever is refused has heard of it while the others still wait.
    const overloaded = () => refused.filter(({ body }) => (body as { error: string }).error === 'overloaded');
    expect(overloaded().length).toBeGreaterThan(500);
    expect(statuses).toHaveLength(overloaded().length);
    release();
    await Promise.all(calls);
    for (const { headers, body } of overloaded()) {
      expect(headers.get('retry-after')).toMatch(/^\d+$/);
      expect(body).toMatchObject({ statusCode: 503 });
    }
    const done = statuses.filter((status) => status === 200).length;
    expect(done).toBe(2_600 - overloaded().length);
    expect(await countOf('account-hot-user')).toBe(2 + done);
  }, 60_000);
});

it('has logged why, under the id that the caller was told', () => {
  const lines = service.logged.map((line) => JSON.parse(line) as object);
  expect(lines).toContainEqual(
    expect.objectContaining({ reqId: 'trace-outage', statusCode: 503, msg: 'request failed', err: expect.any(Object) }),
  );
});

const countOf = (stream: string): Promise<number> => lengthOf(service.context.store, stream);

/** Lets every append wait. Returns what lets them go. */
function blockAppends(): () => void {
  const { store } = service.context;
  const append = store.append.bind(store);
  let letGo = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const blocked = vi.spyOn(store, 'append').mockImplementation(async (batches) => {
    await gate;
    return append(batches);
  });
  return () => {
    blocked.mockRestore();
    letGo();
  };
}
