import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { accountStream } from '../../src/events/account-events.ts';
import { project } from '../../src/projections/project.ts';
import { giveCredits, granted, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { putForward } from '../support/put-forward.ts';
import { type Service, startService } from '../support/service.ts';

/*
 * Lots and holds past their end, in a service without workers: what a worker would have written is true all the same.
 * Its clock is put forward, so nobody has to wait.
 */

const SERVICES = '/api/v1/internal/credits';
const MINUTE = 60_000;

let database: TestDatabase;
let service: Service;
let users = 0;
let userId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

beforeEach(() => {
  users += 1;
  userId = `late-${users}`;
});

afterEach(() => vi.restoreAllMocks());

const now = Date.now.bind(Date);
const passTime = (milliseconds: number): void => putForward(service.context.clock, milliseconds);

/** Brings the read models up to what stands in the log, as a worker would have done before it stopped. */
async function projectAll(): Promise<void> {
  const { db, store } = service.context;
  const [last] = await store.readStream(accountStream(userId), { direction: 'backward', limit: 1 });
  await project(db, store, [{ stream: accountStream(userId), revision: last?.revision ?? -1 }]);
}

const balance = () => service.app().get(`${SERVICES}/balance/${userId}`);
const commit = (body: object) => service.app().post(`${SERVICES}/commit`, body);

describe('a lot past its end', () => {
  it('shows in no balance, and covers nothing', async () => {
    await giveCredits(service.app(), userId, 10, { expiresAt: new Date(now() + 10 * MINUTE).toISOString() });
    await giveCredits(service.app(), userId, 3);
    await projectAll();
    expect((await balance()).body).toMatchObject({ balance: 13, expiring: [{ amount: 10 }], revision: 2 });
    passTime(11 * MINUTE);
    expect((await balance()).body).toMatchObject({ balance: 3, totalEarned: 13, totalSpent: 0, expiring: [], revision: 3 });
    expect((await (await service.user(userId)).get('/api/v1/credits/balance')).body).toMatchObject({ balance: 3 });
    const { status, body } = await service.app().post(`${SERVICES}/use`, { userId, amount: 4 });
    expect(status).toBe(402);
    expect(body).toMatchObject({ message: 'Insufficient credits. Required: 4, Available: 3' });
    expect((await service.app().post(`${SERVICES}/validate`, { userId, amount: 4 })).body).toMatchObject({
      hasCredits: false,
      availableCredits: 3,
    });
  });
});

describe('a hold past its end', () => {
  it('keeps nothing', async () => {
    await giveCredits(service.app(), userId, 10);
    const reservationId = await holdCredits(service.app(), userId, 7, { ttlSeconds: 60 });
    await projectAll();
    expect((await balance()).body).toMatchObject({ balance: 3, reserved: 7, revision: 2 });
    passTime(2 * MINUTE);
    expect((await balance()).body).toMatchObject({ balance: 10, reserved: 0, revision: 3 });
    const { body } = await service.app().get(`${SERVICES}/reservations/${reservationId}`);
    expect(body).toMatchObject({ status: 'expired', amount: 7, creditsUsed: 0, released: 7 });
    await projectAll();
    expect((await service.app().get(`${SERVICES}/reservations/${reservationId}`)).body).toMatchObject({
      status: 'expired',
      released: 7,
    });
  });

  it('is committed from what is available', async () => {
    await giveCredits(service.app(), userId, 10);
    const reservationId = await holdCredits(service.app(), userId, 7, { ttlSeconds: 60 });
    passTime(2 * MINUTE);
    const first = await commit({ reservationId, amount: 6 });
    expect(first.status).toBe(200);
    expect(first.body).toEqual({
      success: true,
      transactionId: `txn_4_account-${userId}`,
      creditsUsed: 6,
      released: 0,
      balance: 4,
    });
    expect((await commit({ reservationId, amount: 6 })).body).toEqual(first.body);
    expect((await commit({ reservationId, amount: 7 })).status).toBe(409);
    await projectAll();
    expect((await service.app().get(`${SERVICES}/reservations/${reservationId}`)).body).toMatchObject({
      status: 'consumed',
      creditsUsed: 6,
      released: 7,
    });
  });

  it('is committed no further than what is available', async () => {
    await giveCredits(service.app(), userId, 10);
    const reservationId = await holdCredits(service.app(), userId, 7, { ttlSeconds: 60 });
    passTime(2 * MINUTE);
    granted(await service.app().post(`${SERVICES}/use`, { userId, amount: 5 }));
    const { status, body } = await commit({ reservationId });
    expect(status).toBe(402);
    expect(body).toMatchObject({ message: 'Insufficient credits. Required: 7, Available: 5' });
  });

  it('is refused where the caller asks for that, and settled by nothing', async () => {
    await giveCredits(service.app(), userId, 10);
    const reservationId = await holdCredits(service.app(), userId, 7, { ttlSeconds: 60 });
    passTime(2 * MINUTE);
    const { status, body } = await commit({ reservationId, onExpired: 'refuse' });
    expect(status).toBe(402);
    expect(body).toEqual({
      statusCode: 402,
      error: 'reservation_expired',
      message: 'The reservation has run out',
      requestId: expect.any(String),
    });
    expect((await commit({ reservationId, onExpired: 'available' })).body).toMatchObject({ creditsUsed: 7, balance: 3 });
  });

  it('is released with nothing to give back, and can then not be committed', async () => {
    await giveCredits(service.app(), userId, 10);
    const reservationId = await holdCredits(service.app(), userId, 7, { ttlSeconds: 60 });
    passTime(2 * MINUTE);
    const { body } = await service.app().post(`${SERVICES}/refund-reservation`, { reservationId });
    expect(body).toEqual({ success: true, balance: 10, released: 0 });
    expect((await commit({ reservationId })).status).toBe(409);
  });

  it('gives nothing back to a lot that ran out meanwhile', async () => {
    await giveCredits(service.app(), userId, 10, { expiresAt: new Date(now() + MINUTE).toISOString() });
    const reservationId = await holdCredits(service.app(), userId, 7, { ttlSeconds: 600 });
    passTime(2 * MINUTE);
    const { body } = await commit({ reservationId, amount: 5 });
    expect(body).toMatchObject({ creditsUsed: 5, released: 2, balance: 0 });
  });
});
