import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { giveCredits, granted, readOwn, textOf, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';
const USER = 'usage-user';
const DAY = 24 * 60 * 60_000;

let database: TestDatabase;
let service: Service;
let token: string;
/** The day of all this. */
let today: string;

const dayOf = (time: number) => new Date(time).toISOString().slice(0, 10);

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url, workers: true });
  const chat = service.app('chat');
  await giveCredits(chat, USER, 100);
  const used = granted(await chat.post(`${SERVICES}/use`, { userId: USER, amount: 4 }));
  granted(await chat.post(`${SERVICES}/use`, { userId: USER, amount: 1, appId: 'label' }));
  granted(await service.app('studio').post(`${SERVICES}/use`, { userId: USER, amount: 2.5 }));
  const { transaction } = used.body as { transaction: Record<string, unknown> };
  const refund = { userId: USER, amount: 1, transactionId: transaction['id'] };
  const last = granted(await service.app('studio').post(`${SERVICES}/refund`, refund));
  token = tokenOf(last);
  today = dayOf(Date.parse(textOf({ ...last, body: (last.body as { transaction: unknown }).transaction }, 'createdAt')));
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

const NOTHING = { uses: 0, creditsUsed: 0, refunded: 0, quantity: 0, freeUnits: 0, uncovered: 0 };
const TOTAL = { ...NOTHING, uses: 3, creditsUsed: 7.5, refunded: 1 };

describe.each([
  ['GET /credits/usage', '/api/v1/credits/usage', 'user'],
  ['GET /internal/credits/usage/:userId', `${SERVICES}/usage/${USER}`, 'service'],
] as const)('%s', (_, path, caller) => {
  const client = async () => (caller === 'user' ? service.user(USER) : service.app());
  const read = async (query: string) => readOwn(await client(), `${path}?${query}`, { 'x-min-revision': token });

  it('shows the last thirty days, by day', async () => {
    const { status, body } = await read('');
    expect(status).toBe(200);
    expect(body).toEqual({
      userId: USER,
      from: dayOf(Date.parse(today) - 29 * DAY),
      to: today,
      groupBy: 'day',
      total: TOTAL,
      groups: [{ day: today, ...TOTAL }],
      complete: true,
    });
  });

  it('shows it by app, and by operation of each', async () => {
    const chat = { appId: 'chat', ...NOTHING, uses: 1, creditsUsed: 4, refunded: 1 };
    const studio = { appId: 'studio', ...NOTHING, uses: 1, creditsUsed: 2.5 };
    const label = { appId: 'label', ...NOTHING, uses: 1, creditsUsed: 1 };
    expect((await read('groupBy=app')).body).toMatchObject({ total: TOTAL, groups: [chat, studio, label] });
    const operation = null;
    const groups = [chat, studio, label].map((group) => ({ operation, ...group }));
    expect((await read('groupBy=operation')).body).toMatchObject({ groupBy: 'operation', groups });
  });

  it('shows whole days of a range, both ends included', async () => {
    const yesterday = dayOf(Date.parse(today) - DAY);
    expect((await read(`from=${today}&to=${today}`)).body).toMatchObject({ total: TOTAL });
    expect((await read(`from=${today}T23:00:00Z&to=${today}T23:30:00Z`)).body).toMatchObject({ from: today, total: TOTAL });
    // A range that ends as the day begins doesn't touch it.
    const before = await read(`from=${yesterday}&to=${today}T00:00:00Z`);
    expect(before.body).toMatchObject({ from: yesterday, to: yesterday, total: NOTHING, groups: [] });
  });

  it.each([
    ['groupBy=week', 'groupBy'],
    ['from=yesterday', 'from'],
    ['to=2026-02-30', 'to'],
    ['to=9999-12-31', 'to'],
    ['from=1969-12-31', 'from'],
    ['from=2026-02-02&to=2026-02-01', 'from'],
    ['from=2000-01-01&to=2026-01-01', 'from'],
    ['to=0000-01-01', 'to'],
  ])('refuses %s', async (query, at) => {
    const { status, body } = await (await client()).get(`${path}?${query}`);
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: 'validation_failed', details: [{ path: at }] });
  });
});

it('shows sums that nothing bounds as the largest that is a number', async () => {
  const watched = service.app('watched');
  await watched.send('PUT', '/api/v1/catalogue/apps/watched/mode', '{"mode":"observe"}', { 'content-type': 'application/json' });
  let last = '';
  for (let count = 0; count < 10; count += 1) {
    last = tokenOf(granted(await watched.post(`${SERVICES}/use`, { userId: 'usage-wild', amount: 1_000_000_000 })));
  }
  const { status, body } = await readOwn(service.app(), `${SERVICES}/usage/usage-wild`, { 'x-min-revision': last });
  expect(status).toBe(200);
  expect(body).toMatchObject({ total: { uses: 10, creditsUsed: 0, uncovered: expect.closeTo(9_007_199_254.74, 2) } });
});

it('shows nothing of a user whom nobody knows', async () => {
  const stranger = await service.user('usage-stranger');
  expect((await stranger.get('/api/v1/credits/usage')).body).toMatchObject({
    userId: 'usage-stranger',
    total: NOTHING,
    groups: [],
  });
});
