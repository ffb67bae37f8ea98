import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, giveCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';

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

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown;

describe('POST /credits/use', () => {
  it('takes credits in one step, and answers with the transaction', async () => {
    await giveCredits(service.app(), 'use-user', 10);
    const user = await service.user('use-user');
    const metadata = { model: 'large', tokens: [1, 2], nested: { deep: true } };
    const { status, headers, body } = await user.post('/api/v1/credits/use', {
      amount: 0.1,
      appId: 'chat',
      description: 'One answer – ünïcödé',
      metadata,
      idempotencyKey: 'use-1',
      unknown: 'is ignored',
    });
    expect(status).toBe(200);
    expect(headers.get('idempotency-key')).toBe('use-1');
    expect(headers.get('idempotency-replayed')).toBeNull();
    expect(headers.get('x-ledger-revision')).toMatch(/^[\w-]+$/);
    expect(body).toEqual({
      success: true,
      transaction: {
        id: 'txn_2_account-use-user',
        userId: 'use-user',
        type: 'usage',
        status: 'completed',
        amount: -0.1,
        balanceBefore: 10,
        balanceAfter: 9.9,
        appId: 'chat',
        description: 'One answer – ünïcödé',
        metadata,
        idempotencyKey: 'use-1',
        createdAt: TIME,
        completedAt: TIME,
        operation: null,
        revision: 2,
      },
      newBalance: { balance: 9.9, totalSpent: 0.1 },
      creditsUsed: 0.1,
    });
  });

  it('takes from the account of who calls alone', async () => {
    await giveCredits(service.app(), 'use-victim', 10);
    const thief = await service.user('use-thief');
    const { status } = await thief.post('/api/v1/credits/use', { userId: 'use-victim', amount: 1 });
    expect(status).toBe(402);
  });

  it('refuses credits of a guild rather than taking the user’s own', async () => {
    await giveCredits(service.app(), 'use-guild', 10);
    const user = await service.user('use-guild');
    const { status, body } = await user.post('/api/v1/credits/use', {
      amount: 1,
      creditSource: { type: 'guild', guildId: 'g1' },
    });
    expect(status).toBe(400);
    expect(body).toMatchObject({
      error: 'validation_failed',
      details: [{ path: 'creditSource.type', message: 'only personal credits can be used' }],
    });
    expect((await user.post('/api/v1/credits/use', { amount: 1, creditSource: { type: 'personal' } })).status).toBe(200);
  });
});

describe('POST /internal/credits/use', () => {
  it('takes credits of a user, under the app that calls where no label is given', async () => {
    await giveCredits(service.app(), 'used-user', 20);
    const { status, body } = await service
      .app('image-studio')
      .post('/api/v1/internal/credits/use', { userId: 'used-user', amount: 20 });
    expect(status).toBe(200);
    expect(body).toEqual({
      success: true,
      transaction: {
        id: 'txn_2_account-used-user',
        userId: 'used-user',
        type: 'usage',
        status: 'completed',
        amount: -20,
        balanceBefore: 20,
        balanceAfter: 0,
        appId: 'image-studio',
        description: null,
        metadata: null,
        idempotencyKey: expect.any(String),
        createdAt: TIME,
        completedAt: TIME,
        operation: null,
        revision: 2,
      },
      newBalance: { balance: 0, totalSpent: 20 },
      creditsUsed: 20,
    });
  });

  it('takes what optional fields are null as if they were left out', async () => {
    await giveCredits(service.app(), 'null-user', 1);
    const { status } = await service.app().post(
      '/api/v1/internal/credits/use',
      {
        userId: 'null-user',
        amount: 1,
        appId: null,
        description: null,
        metadata: null,
        idempotencyKey: null,
        creditSource: null,
      },
      { 'idempotency-key': 'null-1' },
    );
    expect(status).toBe(200);
  });

  it('adds tenths without a float', async () => {
    await giveCredits(service.app(), 'tenths', 1);
    let last: Answer | undefined;
    for (let count = 0; count < 3; count += 1) {
      last = await service.app().post('/api/v1/internal/credits/use', { userId: 'tenths', amount: 0.1 });
    }
    expect(last?.body).toMatchObject({ newBalance: { balance: 0.7, totalSpent: 0.3 } });
  });
});
