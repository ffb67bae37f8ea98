import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { giveCredits, granted, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { dataOf, eventsOf } from '../support/log-of.ts';
import { type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';

let database: TestDatabase;
let service: Service;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

const grant = (body: object, app?: string) => service.app(app).post(`${SERVICES}/grant`, body);

describe('POST /internal/credits/grant', () => {
  it('gives credits, and opens the account', async () => {
    const { status, headers, body } = await grant({
      userId: 'grant-user',
      amount: 12.5,
      reason: 'beta',
      referenceId: 'wave-1',
      description: 'Thank you',
    });
    expect(status).toBe(200);
    expect(headers.get('x-ledger-revision')).not.toBeNull();
    expect(body).toEqual({ ok: true, alreadyGranted: false, newBalance: 12.5, transactionId: 'txn_1_account-grant-user' });
  });

  it('gives a reason and reference once, whichever app asks under whichever key', async () => {
    const body = { userId: 'grant-once', amount: 10, reason: 'beta', referenceId: 'wave-1' };
    granted(await grant(body, 'one'));
    granted(await service.app().post(`${SERVICES}/use`, { userId: 'grant-once', amount: 4 }));
    const again = await grant({ ...body, idempotencyKey: 'another' }, 'two');
    expect(again.status).toBe(200);
    expect(again.body).toEqual({ ok: true, alreadyGranted: true, newBalance: 6, transactionId: 'txn_1_account-grant-once' });
    // Whatever is said about the amount: it was given, and isn't given again.
    expect((await grant({ ...body, amount: 99 })).body).toMatchObject({ alreadyGranted: true, newBalance: 6 });
    for (const other of [{ reason: 'gamma' }, { referenceId: 'wave-2' }, { userId: 'grant-other' }]) {
      expect((await grant({ ...body, ...other })).body).toMatchObject({ alreadyGranted: false });
    }
  });

  it('refuses an end that events could not be read back with', async () => {
    const body = { userId: 'grant-far', amount: 1, reason: 'far', referenceId: 'f1' };
    const far = await grant({ ...body, expiresAt: '9999-12-31T23:59:59-01:00' });
    expect(far).toMatchObject({ status: 400, body: { details: [{ path: 'expiresAt' }] } });
    granted(await grant({ ...body, expiresAt: '9999-12-31T23:59:59Z' }));
  });

  it('gives once to many who ask at the same time', async () => {
    const body = { userId: 'grant-race', amount: 10, reason: 'beta', referenceId: 'wave-1' };
    const answers = await Promise.all(Array.from({ length: 16 }, (_, index) => grant(body, `app-${index}`)));
    expect(answers.map(({ status }) => status)).toEqual(Array(16).fill(200));
    const first = answers.filter(({ body }) => !(body as { alreadyGranted: boolean }).alreadyGranted);
    expect(first).toHaveLength(1);
    for (const { body } of answers) expect(body).toMatchObject({ newBalance: 10, transactionId: 'txn_1_account-grant-race' });
  });

  it('spends by priority, then what ends soonest, then the oldest', async () => {
    const userId = 'grant-order';
    const [tomorrow, later] = [inHours(24), inHours(48)];
    await giveCredits(service.app(), userId, 1);
    await giveCredits(service.app(), userId, 2, { expiresAt: later });
    await giveCredits(service.app(), userId, 3, { expiresAt: tomorrow });
    await giveCredits(service.app(), userId, 4, { priority: 1 });
    await giveCredits(service.app(), userId, 5, { priority: 100, expiresAt: tomorrow });
    await giveCredits(service.app(), userId, 6);
    await holdCredits(service.app(), userId, 21);
    const events = await eventsOf(service.context.store, `account-${userId}`);
    expect(dataOf(events.find(({ type }) => type === 'CreditsReserved'))['lots']).toEqual([
      [4, 4_000_000],
      [3, 3_000_000],
      [2, 2_000_000],
      [1, 1_000_000],
      [6, 6_000_000],
      [5, 5_000_000],
    ]);
  });

  it('takes an end in any time zone, and none in the past', async () => {
    const good = { userId: 'grant-end', amount: 1, reason: 'end' };
    expect((await grant({ ...good, referenceId: 'zone', expiresAt: '2099-01-01T00:00:00+05:30' })).status).toBe(200);
    expect(dataOf((await eventsOf(service.context.store, 'account-grant-end'))[1])).toMatchObject({
      expiresAt: '2098-12-31T18:30:00.000Z',
    });
    const past = await grant({ ...good, referenceId: 'past', expiresAt: '2001-01-01T00:00:00Z' });
    expect(past.status).toBe(400);
    expect(past.body).toMatchObject({
      error: 'validation_failed',
      message: 'expiresAt: must lie in the future',
      details: [{ path: 'expiresAt', message: 'must lie in the future' }],
    });
    for (const expiresAt of ['tomorrow', '2099-01-01', '2099-13-01T00:00:00Z', 4_070_908_800_000]) {
      const { status, body } = await grant({ ...good, referenceId: 'wrong', expiresAt });
      expect([expiresAt, status]).toEqual([expiresAt, 400]);
      expect(body).toMatchObject({ details: [{ path: 'expiresAt' }] });
    }
  });

  it('takes a priority from 1 to 100', async () => {
    for (const [priority, status] of [
      [1, 200],
      [100, 200],
      [0, 400],
      [101, 400],
      [1.5, 400],
      ['5', 400],
    ] as const) {
      const body = { userId: 'grant-priority', amount: 1, reason: 'priority', referenceId: String(priority), priority };
      expect([priority, (await grant(body)).status]).toEqual([priority, status]);
    }
  });

  it('takes texts up to their bounds', async () => {
    const good = {
      userId: 'grant-bounds',
      amount: 1,
      reason: 'r'.repeat(64),
      referenceId: 'r'.repeat(128),
      description: 'd'.repeat(256),
    };
    expect((await grant(good)).status).toBe(200);
    for (const path of ['reason', 'referenceId', 'description'] as const) {
      const { status, body } = await grant({ ...good, [path]: `${good[path]}x` });
      expect([path, status]).toEqual([path, 400]);
      expect(body).toMatchObject({ details: [{ path }] });
    }
  });
});

function inHours(hours: number): string {
  return new Date(Date.now() + hours * 3_600_000).toISOString();
}
