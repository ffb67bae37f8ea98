import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, type ApiClient, giveCredits, granted, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';
import { allowConnections, refuseConnections } from './connections.ts';

const SERVICES = '/api/v1/internal/credits';

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

function expectUnavailable({ status, headers, body }: Answer): void {
  expect(body).toEqual({
    statusCode: 503,
    error: 'store_unavailable',
    message: expect.any(String),
    requestId: headers.get('x-correlation-id'),
  });
  expect(status).toBe(503);
  expect(headers.get('retry-after')).toMatch(/^\d+$/);
}

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

describe('a connection that is lost in the middle of an append', () => {
  it('leaves one effect and one answer, whichever way it ended', async () => {
    await giveCredits(app, 'doubt-user', 100);
    const release = await blockStream('account-doubt-user');
    const answers = Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        app.post(`${SERVICES}/use`, { userId: 'doubt-user', amount: 1, idempotencyKey: `doubt-${index}` }),
      ),
    );
    await waitForBlocked();
    await database.superuser.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()`,
    );
    await release();
    for (const answer of await answers) {
      granted(answer);
      expect(answer.headers.get('idempotency-replayed')).toBeNull();
    }
    expect(await countOf('account-doubt-user')).toBe(2 + 8);
  });

  it('is 503 where it stays away, and the same key finds out later', async () => {
    await giveCredits(app, 'gone-user', 100);
    const release = await blockStream('account-gone-user');
    const use = () => app.post(`${SERVICES}/use`, { userId: 'gone-user', amount: 1, idempotencyKey: 'gone' });
    const answer = use();
    await waitForBlocked();
    await release(async () => refuseConnections(database));
    expectUnavailable(await answer);
    await allowConnections(database);
    expect(granted(await use()).body).toMatchObject({ newBalance: { balance: 99 } });
    expect(await countOf('account-gone-user')).toBe(3);
  });
});

describe('503 overloaded', () => {
  it('refuses at once what is more than a process will hold, and answers all the rest', async () => {
    await giveCredits(app, 'hot-user', 1);
    const release = await blockStream('account-hot-user');
    const statuses: number[] = [];
    const refused: Answer[] = [];
    const use = async (index: number): Promise<void> => {
      const answer = await app.post(`${SERVICES}/use`, { userId: 'hot-user', amount: 0.000001, idempotencyKey: `hot-${index}` });
      statuses.push(answer.status);
      if (answer.status === 503) refused.push(answer);
    };
    const calls = Array.from({ length: 2_600 }, (_, index) => use(index));
    // Whoever is refused hears of it while the others still wait.
    const overloaded = () => refused.filter(({ body }) => (body as { error: string }).error === 'overloaded');
    await vi.waitFor(() => expect(overloaded().length).toBeGreaterThan(100), { timeout: 25_000, interval: 20 });
    expect(statuses.every((status) => status === 503)).toBe(true);
    await release();
    await Promise.all(calls);
    for (const { headers, body } of overloaded()) {
      expect(headers.get('retry-after')).toMatch(/^\d+$/);
      expect(body).toMatchObject({ statusCode: 503 });
    }
    // What waited longer than a statement may take was refused too, and is not there.
    const done = statuses.filter((status) => status === 200).length;
    expect(done + refused.length).toBe(2_600);
    expect(await countOf('account-hot-user')).toBe(2 + done);
  }, 60_000);
});

it('has logged why, under the id that the caller was told', () => {
  const lines = service.logged.map((line) => JSON.parse(line) as object);
  expect(lines).toContainEqual(
    expect.objectContaining({ reqId: 'trace-outage', statusCode: 503, msg: 'request failed', err: expect.any(Object) }),
  );
});

/** Holds a stream's head, so that appends to it wait. Returns what lets go, after something else where that is given. */
async function blockStream(stream: string): Promise<(before?: () => Promise<void>) => Promise<void>> {
  await database.superuser.query('begin');
  await database.superuser.query('select from ledger.streams where name = $1 for update', [stream]);
  return async (before) => {
    await before?.();
    await database.superuser.query('rollback');
  };
}

/** Until somebody waits for what is held. */
async function waitForBlocked(): Promise<void> {
  await vi.waitFor(
    async () => {
      // Within a transaction the list of connections stays as it was first seen: whoever came later would be missed.
      await database.superuser.query('select pg_stat_clear_snapshot()');
      const { rowCount } = await database.superuser.query(
        `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
      );
      expect(rowCount).toBeGreaterThan(0);
    },
    { timeout: 15_000, interval: 10 },
  );
}

async function countOf(stream: string): Promise<number> {
  const { rows } = await database.superuser.query<{ count: string }>(
    'select count(*) from ledger.events where stream_id = (select id from ledger.streams where name = $1)',
    [stream],
  );
  return Number(rows[0]?.count);
}
