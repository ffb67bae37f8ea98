import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, giveCredits, granted, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
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

const post = (route: string, body: unknown, headers?: Record<string, string>) =>
  service.app().post(`${SERVICES}/${route}`, body, headers);

function expectError({ status, headers, body }: Answer, statusCode: number, error: string, more: object = {}): void {
  expect(body).toEqual({ statusCode, error, message: expect.any(String), requestId: headers.get('x-correlation-id'), ...more });
  expect(status).toBe(statusCode);
}

describe('404', () => {
  it.each([
    'nonsense',
    'rsv_',
    'rsv_1_',
    'rsv_-1_account-holder',
    'rsv_01_account-holder',
    'rsv_1e3_account-holder',
    'rsv_99999999999999999999_account-holder',
    'rsv_1_pool-holder',
    'rsv_1_account-',
    'rsv_1_~',
    'rsv_1_~!!!',
    `rsv_1_~${Buffer.from('account-a\0b').toString('base64url')}`,
    'txn_2_account-holder',
    'RSV_2_account-holder',
    'rsv_2_account-nobody',
    'rsv_0_account-holder',
    'rsv_1_account-holder',
    'rsv_3_account-holder',
    'rsv_999_account-holder',
    "rsv_2_account-holder' or 1=1",
  ])('reservation_not_found is the answer to %s', async (reservationId) => {
    // Events 0 and 1 open the account and fill it, 2 is a hold of 1, and 3 a use.
    if ((await post('init', { userId: 'holder' }, { 'idempotency-key': 'once' })).headers.get('idempotency-replayed') === null) {
      await giveCredits(service.app(), 'holder', 10);
      await holdCredits(service.app(), 'holder', 1);
      granted(await post('use', { userId: 'holder', amount: 1 }));
    }
    expectError(await post('commit', { reservationId }), 404, 'reservation_not_found');
    expectError(await post('refund-reservation', { reservationId }), 404, 'reservation_not_found');
  });

  it.each(['nonsense', 'txn_2_account-holder', 'rsv_2_account-nobody'])(
    'reservation_not_found: there is nothing to see at %s',
    async (id) => {
      expectError(await service.app().get(`${SERVICES}/reservations/${id}`), 404, 'reservation_not_found');
    },
  );

  it.each([
    ['GET', '/'],
    ['GET', '/api/v1'],
    ['GET', '/api/v1/credits/nothing'],
    ['GET', `${SERVICES}/balance`],
    ['POST', '/health'],
    ['DELETE', `${SERVICES}/reservations/x`],
    ['GET', `${SERVICES}/use`],
    ['GET', '/api/v2/credits/balance'],
  ])('not_found is the answer to %s %s, whoever asks', async (method, path) => {
    expectError(await service.anonymous.send(method, path, undefined), 404, 'not_found');
  });
});

describe('409 idempotency_conflict', () => {
  it('is the answer to a key that comes with another request', async () => {
    await giveCredits(service.app(), 'conflicted', 10);
    granted(await post('use', { userId: 'conflicted', amount: 1, idempotencyKey: 'k' }));
    expectError(await post('use', { userId: 'conflicted', amount: 2, idempotencyKey: 'k' }), 409, 'idempotency_conflict');
    expectError(await post('reserve', { userId: 'conflicted', amount: 1, idempotencyKey: 'k' }), 409, 'idempotency_conflict');
    expectError(
      await post('use', { userId: 'conflicted', amount: 1, more: 1 }, { 'idempotency-key': 'k' }),
      409,
      'idempotency_conflict',
    );
  });
});

describe('413 and 415', () => {
  it('refuses a body that is too large, and reads no more of it', async () => {
    const body = JSON.stringify({ userId: 'u', amount: 1, padding: 'x'.repeat(300 * 1024) });
    expectError(
      await service.app().send('POST', `${SERVICES}/use`, body, { 'content-type': 'application/json' }),
      413,
      'payload_too_large',
    );
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml', 'nonsense'])(
    'refuses %s',
    async (type) => {
      const body = JSON.stringify({ userId: 'u', amount: 1 });
      for (const route of ['use', 'reserve', 'grant']) {
        expectError(
          await service.app().send('POST', `${SERVICES}/${route}`, body, { 'content-type': type }),
          415,
          'unsupported_media_type',
        );
      }
    },
  );

  it('takes JSON in any writing of its type', async () => {
    for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON']) {
      const answer = await service.app().send('POST', `${SERVICES}/init`, '{"userId":"typed"}', { 'content-type': type });
      expect([type, answer.status]).toEqual([type, 200]);
    }
  });
});

describe('422 limit_exceeded', () => {
  it('keeps totals within what crosses the wire exactly', async () => {
    const billion = 1_000_000_000;
    for (let count = 1; count <= 4; count += 1) await giveCredits(service.app(), 'rich', billion);
    expectError(
      await post('grant', { userId: 'rich', amount: 0.000001, reason: 'more', referenceId: 'more' }),
      422,
      'limit_exceeded',
      {
        details: { limit: 'totalEarned', maximum: 4_000_000_000 },
      },
    );
    expect((await post('use', { userId: 'rich', amount: billion })).body).toMatchObject({ newBalance: { balance: 3 * billion } });
    expectError(await post('grant', { userId: 'rich', amount: 1, reason: 'more', referenceId: 'more' }), 422, 'limit_exceeded', {
      details: { limit: 'totalEarned', maximum: 4_000_000_000 },
    });
  });

  it('says in credits how much one charge may be', async () => {
    granted(
      await service.app('costly').send('PUT', '/api/v1/catalogue/operations/costly/all', '{"cost":1000}', {
        'content-type': 'application/json',
      }),
    );
    const many = { userId: 'rich', operation: 'all', quantity: 1_000_000_000 };
    expectError(await service.app('costly').post(`${SERVICES}/use`, many), 422, 'limit_exceeded', {
      details: { limit: 'amount', maximum: 1_000_000_000 },
    });
  });

  it('keeps open lots within 2,000', async () => {
    const grants = Array.from({ length: 2_001 }, (_, index) => ({
      userId: 'many',
      amount: 1,
      reason: 'lot',
      referenceId: String(index),
    }));
    const answers: Answer[] = [];
    for (let from = 0; from < grants.length; from += 100) {
      answers.push(...(await Promise.all(grants.slice(from, from + 100).map((grant) => post('grant', grant)))));
    }
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused).toHaveLength(1);
    expectError(refused[0] as Answer, 422, 'limit_exceeded', { details: { limit: 'openLots', maximum: 2_000 } });
    // Who spends a lot makes room for one.
    granted(await post('use', { userId: 'many', amount: 1 }));
    await giveCredits(service.app(), 'many', 1);
  });
});
