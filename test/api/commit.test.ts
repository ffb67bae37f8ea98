import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { giveCredits, granted, holdCredits, textOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';

let database: TestDatabase;
let service: Service;
let user = 0;
let userId: string;
let reservationId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

// Everybody has 100 credits, 40 of them held.
beforeEach(async () => {
  user += 1;
  userId = `commit-${user}`;
  await giveCredits(service.app(), userId, 100);
  reservationId = await holdCredits(service.app(), userId, 40);
});

const commit = (body: object, app?: string) => service.app(app).post(`${SERVICES}/commit`, { reservationId, ...body });
const transactionId = () => `txn_3_account-${userId}`;

describe('POST /internal/credits/commit', () => {
  it('takes all that was held where no amount is named', async () => {
    const { status, headers, body } = await commit({});
    expect(status).toBe(200);
    expect(body).toEqual({ success: true, transactionId: transactionId(), creditsUsed: 40, released: 0, balance: 60 });
    expect(headers.get('x-ledger-revision')).not.toBeNull();
  });

  it('takes as much as was held', async () => {
    const { body } = await commit({ amount: 40 });
    expect(body).toEqual({ success: true, transactionId: transactionId(), creditsUsed: 40, released: 0, balance: 60 });
  });

  it('takes less, and releases the rest', async () => {
    const { body } = await commit({ amount: 0.000001, description: 'short', metadata: { tokens: 1 } });
    expect(body).toEqual({
      success: true,
      transactionId: transactionId(),
      creditsUsed: 0.000001,
      released: 39.999999,
      balance: 99.999999,
    });
  });

  it('takes nothing where the work cost nothing', async () => {
    const { status, body } = await commit({ amount: 0 });
    expect(status).toBe(200);
    expect(body).toEqual({ success: true, transactionId: transactionId(), creditsUsed: 0, released: 40, balance: 100 });
  });

  it('takes more, the excess from what is available', async () => {
    const { body } = await commit({ amount: 99.5 });
    expect(body).toEqual({ success: true, transactionId: transactionId(), creditsUsed: 99.5, released: 0, balance: 0.5 });
  });

  it('takes no more than there is, and then the hold stands', async () => {
    const { status, body } = await commit({ amount: 100.000001 });
    expect(status).toBe(402);
    expect(body).toMatchObject({
      error: 'insufficient_credits',
      message: 'Insufficient credits. Required: 100.000001, Available: 100',
      requiredCredits: 100.000001,
      availableCredits: 100,
    });
    expect((await commit({ amount: 100 })).body).toMatchObject({ creditsUsed: 100, balance: 0 });
  });

  it('answers as first where the same amount is committed again, under whichever key', async () => {
    const first = granted(await commit({ amount: 10 }));
    granted(await service.app().post(`${SERVICES}/use`, { userId, amount: 5 }));
    const again = await commit({ amount: 10 });
    expect(again.status).toBe(200);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  });

  it('answers as first where all of it is committed again, with the amount named or not', async () => {
    const first = granted(await commit({}));
    expect((await commit({ amount: 40 })).body).toEqual(first.body);
    expect((await commit({})).body).toEqual(first.body);
  });

  it('refuses another amount once it is settled', async () => {
    granted(await commit({ amount: 10 }));
    const { status, body } = await commit({ amount: 11 });
    expect(status).toBe(409);
    expect(body).toEqual({
      statusCode: 409,
      error: 'reservation_already_resolved',
      message: 'The reservation was consumed before',
      details: { resolution: { status: 'consumed', transactionId: transactionId(), creditsUsed: 10 } },
      requestId: expect.any(String),
    });
  });

  it('refuses what was released', async () => {
    granted(await service.app().post(`${SERVICES}/refund-reservation`, { reservationId }));
    const { status, body } = await commit({ amount: 40 });
    expect(status).toBe(409);
    expect(body).toMatchObject({
      error: 'reservation_already_resolved',
      message: 'The reservation was released before',
      details: { resolution: { status: 'released', transactionId: transactionId(), creditsUsed: 0 } },
    });
  });

  it('settles a hold once, however many commit it at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, (_, index) => commit({ amount: 1 + (index % 3) })));
    const settled = answers.filter(({ status }) => status === 200);
    expect(settled).toHaveLength(4);
    expect(new Set(settled.map((answer) => textOf(answer, 'transactionId'))).size).toBe(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(8);
    expect((await commit({ amount: 7 })).status).toBe(409);
  });

  it.each(['commit', 'refund-reservation'])('lets no other app %s it', async (route) => {
    const { status, body } = await service.app('another').post(`${SERVICES}/${route}`, { reservationId });
    expect(status).toBe(403);
    expect(body).toMatchObject({ error: 'forbidden' });
    expect((await commit({})).status).toBe(200);
    expect((await service.app('another').post(`${SERVICES}/${route}`, { reservationId })).status).toBe(403);
  });

  it('goes by the app that calls, not by the label that it gives', async () => {
    const labelled = await holdCredits(service.app('chat'), userId, 5, { appId: 'another' });
    const wrong = await service.app('another').post(`${SERVICES}/commit`, { reservationId: labelled, appId: 'chat' });
    expect(wrong.status).toBe(403);
    expect((await service.app('chat').post(`${SERVICES}/commit`, { reservationId: labelled })).status).toBe(200);
  });
});
