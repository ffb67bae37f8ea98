import { describe, expect, it, vi } from 'vitest';
import { type Answer, giveCredits, holdCredits } from '../support/api-client.ts';
import { lengthOf } from '../support/log-of.ts';
import { useService } from '../support/use-service.ts';
import { allowConnections, expectUnavailable, refuseConnections } from './connections.ts';

const SERVICES = '/api/v1/internal/credits';
/** Calls that arrive at once. */
const TOGETHER = 200;

const bench = useService();

describe('503 store_unavailable', () => {
  it('is the answer of every route while Postgres is gone, and the same keys succeed when it is back', async () => {
    await giveCredits(bench.app, 'outage-user', 100);
    const reservationId = await holdCredits(bench.app, 'outage-user', 10);
    const released = await holdCredits(bench.app, 'outage-user', 10);
    const user = await bench.service.user('outage-user');
    const key = (name: string) => ({ 'idempotency-key': `outage-${name}` });
    const commands = (): Promise<Answer>[] => [
      bench.app.post(`${SERVICES}/init`, { userId: 'outage-new' }, key('init')),
      bench.app.post(`${SERVICES}/use`, { userId: 'outage-user', amount: 1, description: 'personal' }, key('use')),
      bench.app.post(`${SERVICES}/use`, { userId: 'outage-nobody', amount: 1 }, key('nobody')),
      bench.app.post(`${SERVICES}/reserve`, { userId: 'outage-user', amount: 1 }, key('reserve')),
      bench.app.post(`${SERVICES}/commit`, { reservationId, amount: 5 }, key('commit')),
      bench.app.post(`${SERVICES}/refund-reservation`, { reservationId: released }, key('release')),
      bench.app.post(`${SERVICES}/grant`, { userId: 'outage-user', amount: 1, reason: 'r', referenceId: 'r' }, key('grant')),
      user.post('/api/v1/credits/use', { amount: 1 }, key('use')),
    ];
    await refuseConnections(bench.database);
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
        expectUnavailable(await bench.app.get(path));
      }
      expectUnavailable(await bench.app.post(`${SERVICES}/validate`, { userId: 'outage-user', amount: 1 }));
      expectUnavailable(await user.get('/api/v1/credits/balance'));
      expectUnavailable(await user.get('/api/v1/credits/transactions'));
    } finally {
      await allowConnections(bench.database);
    }
    const statuses = (await Promise.all(commands())).map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 402, 200, 200, 200, 200, 200]);
    // Nothing had been written before.
    expect(await countOf('account-outage-user')).toBe(4 + 6);
  });

  it('still refuses what is wrong in itself, and still knows who may call', async () => {
    await refuseConnections(bench.database);
    try {
      expect((await bench.app.post(`${SERVICES}/use`, { userId: 'u', amount: -1 })).status).toBe(400);
      expect((await bench.app.post(`${SERVICES}/commit`, { reservationId: 'nonsense' })).status).toBe(404);
      expect((await bench.service.anonymous.get(`${SERVICES}/balance/u`)).status).toBe(401);
      await bench.app.get(`${SERVICES}/balance/u`, { 'x-correlation-id': 'trace-outage' });
    } finally {
      await allowConnections(bench.database);
    }
  });
});

describe('503 overloaded', () => {
  it('refuses at once what is more than a process will hold, and answers all the rest', async () => {
    await giveCredits(bench.app, 'hot-user', 1);
    const release = blockAppends();
    const statuses: number[] = [];
    const refused: Answer[] = [];
    const use = async (index: number): Promise<void> => {
      const answer = await bench.app.post(`${SERVICES}/use`, {
        userId: 'hot-user',
        amount: 0.000001,
        idempotencyKey: `hot-${index}`,
      });
      statuses.push(answer.status);
      if (answer.status === 503) refused.push(answer);
    };
    const calls: Promise<void>[] = [];
    for (let index = 0; index < 2_600; index += TOGETHER) {
      for (let next = index; next < index + TOGETHER; next += 1) calls.push(use(next));
      // Not all at once: the system, too, keeps only so many connections that nobody has taken yet.
      const arrived = () => bench.service.context.accounts.waiting + statuses.length === calls.length;
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
  const lines = bench.service.logged.map((line) => JSON.parse(line) as object);
  expect(lines).toContainEqual(
    expect.objectContaining({ reqId: 'trace-outage', statusCode: 503, msg: 'request failed', err: expect.any(Object) }),
  );
});

const countOf = (stream: string): Promise<number> => lengthOf(bench.service.context.store, stream);

/** Lets every append wait. Returns what lets them go. */
function blockAppends(): () => void {
  const { store } = bench.service.context;
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
