import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { giveCredits, granted, holdCredits, readOwn, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';
const USER = 'history-user';

let database: TestDatabase;
let service: Service;
let token: string;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url, workers: true });
  const app = service.app('chat');
  await giveCredits(app, USER, 100, { description: 'Welcome', idempotencyKey: 'history-grant' });
  const kept = await holdCredits(app, USER, 10, { reason: 'an answer', appId: 'label', idempotencyKey: 'history-kept' });
  granted(await app.post(`${SERVICES}/commit`, { reservationId: kept, amount: 4, metadata: { tokens: 4 } }));
  const dropped = await holdCredits(app, USER, 20, { description: 'a picture' });
  granted(await app.post(`${SERVICES}/refund-reservation`, { reservationId: dropped, reason: 'failed' }));
  await holdCredits(app, USER, 1);
  const user = await service.user(USER);
  const last = granted(await user.post('/api/v1/credits/use', { amount: 0.5, description: 'by hand' }));
  token = tokenOf(last);
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

const TIME = expect.stringMatching(/Z$/) as unknown;
const KEY = expect.any(String) as unknown;

function transaction(revision: number, more: object): object {
  return {
    id: `txn_${revision}_account-${USER}`,
    userId: USER,
    status: 'completed',
    appId: 'chat',
    description: null,
    metadata: null,
    idempotencyKey: KEY,
    createdAt: TIME,
    completedAt: TIME,
    operation: null,
    revision,
    ...more,
  };
}

const HISTORY = [
  transaction(7, { type: 'usage', amount: -0.5, balanceBefore: 95, balanceAfter: 94.5, appId: 'user', description: 'by hand' }),
  transaction(6, { type: 'reserve', amount: -1, balanceBefore: 96, balanceAfter: 95, status: 'pending', completedAt: null }),
  transaction(5, { type: 'release', amount: 20, balanceBefore: 76, balanceAfter: 96, description: 'failed' }),
  transaction(4, {
    type: 'reserve',
    amount: -20,
    balanceBefore: 96,
    balanceAfter: 76,
    status: 'cancelled',
    description: 'a picture',
  }),
  transaction(3, { type: 'usage', amount: -4, balanceBefore: 90, balanceAfter: 96, appId: 'label', metadata: { tokens: 4 } }),
  transaction(2, {
    type: 'reserve',
    amount: -10,
    balanceBefore: 100,
    balanceAfter: 90,
    appId: 'label',
    description: 'an answer',
    idempotencyKey: 'history-kept',
  }),
  transaction(1, {
    type: 'grant',
    amount: 100,
    balanceBefore: 0,
    balanceAfter: 100,
    description: 'Welcome',
    idempotencyKey: 'history-grant',
  }),
];

describe.each([
  ['GET /credits/transactions', '/api/v1/credits/transactions', 'user'],
  ['GET /internal/credits/transactions/:userId', `${SERVICES}/transactions/${USER}`, 'service'],
] as const)('%s', (_, path, caller) => {
  const client = async () => (caller === 'user' ? service.user(USER) : service.app());

  it('lists what happened, newest first', async () => {
    const { status, body } = await readOwn(await client(), path, { 'x-min-revision': token });
    expect(status).toBe(200);
    expect(body).toEqual(HISTORY);
  });

  it('lists a page of it', async () => {
    const { body } = await readOwn(await client(), `${path}?limit=2&offset=3&minRevision=${token}`);
    expect(body).toEqual(HISTORY.slice(3, 5));
    expect((await (await client()).get(`${path}?offset=6&minRevision=${token}`)).body).toEqual(HISTORY.slice(6));
    expect((await (await client()).get(`${path}?offset=7&minRevision=${token}`)).body).toEqual([]);
  });

  it('takes 200 at the most', async () => {
    expect((await (await client()).get(`${path}?limit=200`)).status).toBe(200);
    for (const query of [
      'limit=201',
      'limit=0',
      'limit=-1',
      'limit=1.5',
      'limit=x',
      'limit=',
      'offset=-1',
      'offset=x',
      'limit=1&limit=2',
    ]) {
      const { status, body } = await (await client()).get(`${path}?${query}`);
      expect([query, status]).toEqual([query, 400]);
      expect(body).toMatchObject({ error: 'validation_failed', details: [{ path: query.slice(0, query.indexOf('=')) }] });
    }
  });
});

it('lists nothing of a user whom nobody knows', async () => {
  expect((await service.app().get(`${SERVICES}/transactions/history-nobody`)).body).toEqual([]);
  const stranger = await service.user('history-stranger');
  expect((await stranger.get('/api/v1/credits/transactions')).body).toEqual([]);
});
