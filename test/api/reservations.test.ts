import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, giveCredits, granted, holdCredits, readOwn, textOf, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown;

let database: TestDatabase;
let service: Service;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url, workers: true });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

describe('POST /internal/credits/reserve', () => {
  it('holds credits for a quarter of an hour', async () => {
    await giveCredits(service.app(), 'reserve-user', 100);
    const from = Date.now();
    const answer = await service.app().post(`${SERVICES}/reserve`, { userId: 'reserve-user', amount: 20 });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ reservationId: 'rsv_2_account-reserve-user', balance: 80, amount: 20, expiresAt: TIME });
    expect(answer.headers.get('x-ledger-revision')).not.toBeNull();
    const minutes = (Date.parse(textOf(answer, 'expiresAt')) - from) / 60_000;
    expect(minutes).toBeGreaterThan(14);
    expect(minutes).toBeLessThan(17);
  });

  it('holds them for as long as it is asked to', async () => {
    await giveCredits(service.app(), 'reserve-long', 100);
    const from = Date.now();
    const days = 30 * 24 * 60 * 60;
    const answer = granted(
      await service.app().post(`${SERVICES}/reserve`, { userId: 'reserve-long', amount: 0.000001, ttlSeconds: days }),
    );
    expect(Math.round((Date.parse(textOf(answer, 'expiresAt')) - from) / 3_600_000)).toBe(30 * 24);
    for (const ttlSeconds of [0, -1, 1.5, days + 1, '60']) {
      const { status, body } = await service.app().post(`${SERVICES}/reserve`, { userId: 'reserve-long', amount: 1, ttlSeconds });
      expect(status).toBe(400);
      expect(body).toMatchObject({ error: 'validation_failed', details: [{ path: 'ttlSeconds' }] });
    }
  });

  it('holds nothing twice', async () => {
    await giveCredits(service.app(), 'reserve-twice', 10);
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => service.app().post(`${SERVICES}/reserve`, { userId: 'reserve-twice', amount: 3 })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
    expect(answers.filter(({ status }) => status === 402)).toHaveLength(9);
  });
});

describe('POST /internal/credits/refund-reservation', () => {
  it('gives back what was held, once', async () => {
    await giveCredits(service.app(), 'refund-user', 100);
    const reservationId = await holdCredits(service.app(), 'refund-user', 30);
    const first = await service.app().post(`${SERVICES}/refund-reservation`, { reservationId, reason: 'it failed' });
    expect(first.status).toBe(200);
    expect(first.body).toEqual({ success: true, balance: 100, released: 30 });
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    granted(await service.app().post(`${SERVICES}/use`, { userId: 'refund-user', amount: 50 }));
    // Another key: whoever releases again is told what came of the first time.
    const second = await service.app().post(`${SERVICES}/refund-reservation`, { reservationId });
    expect(second.status).toBe(200);
    expect(second.body).toEqual(first.body);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
  });

  it('leaves what was committed', async () => {
    await giveCredits(service.app(), 'refund-late', 100);
    const reservationId = await holdCredits(service.app(), 'refund-late', 30);
    const committed = granted(await service.app().post(`${SERVICES}/commit`, { reservationId, amount: 10 }));
    const { status, body } = await service.app().post(`${SERVICES}/refund-reservation`, { reservationId });
    expect(status).toBe(409);
    expect(body).toEqual({
      statusCode: 409,
      error: 'reservation_already_resolved',
      message: 'The reservation was consumed before',
      details: { resolution: { status: 'consumed', transactionId: textOf(committed, 'transactionId'), creditsUsed: 10 } },
      requestId: expect.any(String),
    });
  });
});

describe('GET /internal/credits/reservations/:id', () => {
  const state = (id: string, headers = {}): Promise<Answer> =>
    readOwn(service.app(), `${SERVICES}/reservations/${encodeURIComponent(id)}`, headers);

  it('shows a hold at once, with the words that were said', async () => {
    await giveCredits(service.app(), 'state-held', 100);
    const said = { reason: 'an answer', description: 'for a chat', metadata: { model: 'large' }, appId: 'label' };
    const id = await holdCredits(service.app('chat'), 'state-held', 30, said);
    const { status, body } = await state(id);
    expect(status).toBe(200);
    expect(body).toEqual({
      reservationId: id,
      userId: 'state-held',
      status: 'held',
      amount: 30,
      creditsUsed: 0,
      released: 0,
      ...said,
      createdAt: TIME,
      expiresAt: TIME,
      settledAt: null,
    });
  });

  it('shows what a commit took to whoever asks for its revision', async () => {
    await giveCredits(service.app(), 'state-own', 100);
    for (let round = 1; round <= 5; round += 1) {
      const id = await holdCredits(service.app(), 'state-own', 3);
      const committed = granted(await service.app().post(`${SERVICES}/commit`, { reservationId: id, amount: 2 }));
      const { body } = await state(id, { 'x-min-revision': tokenOf(committed) });
      expect(body).toMatchObject({ status: 'consumed', creditsUsed: 2 });
    }
  });

  it('shows what a commit took, as soon as the read models know', async () => {
    await giveCredits(service.app(), 'state-consumed', 100);
    const id = await holdCredits(service.app('chat'), 'state-consumed', 30);
    const committed = granted(await service.app('chat').post(`${SERVICES}/commit`, { reservationId: id, amount: 10.5 }));
    await seen('state-consumed', committed);
    const { body } = await state(id);
    expect(body).toMatchObject({
      status: 'consumed',
      amount: 30,
      creditsUsed: 10.5,
      released: 19.5,
      appId: 'chat',
      settledAt: TIME,
    });
  });

  it('shows that a hold was released', async () => {
    await giveCredits(service.app(), 'state-released', 100);
    const id = await holdCredits(service.app(), 'state-released', 30);
    const released = granted(await service.app().post(`${SERVICES}/refund-reservation`, { reservationId: id }));
    await seen('state-released', released);
    const { body } = await state(id);
    expect(body).toMatchObject({ status: 'released', amount: 30, creditsUsed: 0, released: 30, settledAt: TIME });
  });

  it('knows holds of users with any name', async () => {
    const userId = '日'.repeat(128);
    await giveCredits(service.app(), userId, 10);
    const id = await holdCredits(service.app(), userId, 10);
    expect((await state(id)).body).toMatchObject({ userId, status: 'held' });
    const { status, body } = await service.app().post(`${SERVICES}/commit`, { reservationId: id });
    expect(status).toBe(200);
    expect(body).toMatchObject({ creditsUsed: 10, balance: 0 });
  });
});

/** Waits until the read models have seen what an answer says that it wrote. */
async function seen(userId: string, written: Answer): Promise<void> {
  granted(await readOwn(service.app(), `${SERVICES}/balance/${userId}`, { 'x-min-revision': tokenOf(written) }));
}
