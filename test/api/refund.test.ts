import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CATALOGUE_STREAM } from '../../src/events/catalogue-events.ts';
import { credits } from '../support/account-samples.ts';
import { type Answer, giveCredits, granted, holdCredits, readOwn, textOf, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { dataOf, eventsOf } from '../support/log-of.ts';
import { type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';

let database: TestDatabase;
let service: Service;
let user = 0;
let userId: string;
let transactionId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url, workers: true });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

// Everybody has used 40 of 100 credits.
beforeEach(async () => {
  user += 1;
  userId = `refund-${user}`;
  await giveCredits(service.app(), userId, 100);
  transactionId = idOf(await post('use', { userId, amount: 40, appId: 'studio', description: 'a picture' }));
});

function post(route: string, body: object, headers: Record<string, string> = {}, app?: string): Promise<Answer> {
  return service.app(app).post(`${SERVICES}/${route}`, body, headers);
}

function refund(body: object, headers?: Record<string, string>, app?: string): Promise<Answer> {
  return post('refund', { userId, transactionId, description: 'it failed', ...body }, headers, app);
}

function idOf(answer: Answer): string {
  return (granted(answer).body as { transaction: { id: string } }).transaction.id;
}

/** One sketch is free. */
async function priceForFree(): Promise<void> {
  const priced = {
    app: 'studio',
    operation: 'sketch',
    cost: credits(1),
    per: 1,
    unit: null,
    free: { uses: 1, period: 'lifetime' },
  } as const;
  const { kind } = await service.context.catalogueCommands.execute({
    stream: CATALOGUE_STREAM,
    command: { type: 'PriceOperation', ...priced },
    actor: { kind: 'system', name: 'test' },
    key: null,
    commandId: 'c1',
    correlationId: 'c1',
    causationId: null,
  });
  expect(kind).toBe('accepted');
}

async function balance(): Promise<unknown> {
  return (await post('init', { userId })).body;
}

describe('POST /internal/credits/refund', () => {
  it('gives back what was used, and says so', async () => {
    const { status, headers, body } = await refund({ amount: 40, metadata: { ticket: 7 } }, { 'idempotency-key': 'k1' });
    expect(status).toBe(200);
    expect(headers.get('x-ledger-revision')).not.toBeNull();
    expect(body).toEqual({
      success: true,
      transaction: {
        id: `txn_3_account-${userId}`,
        userId,
        type: 'refund',
        status: 'completed',
        amount: 40,
        balanceBefore: 60,
        balanceAfter: 100,
        appId: 'studio',
        description: 'it failed',
        metadata: { ticket: 7 },
        idempotencyKey: 'k1',
        createdAt: expect.any(String),
        completedAt: expect.any(String),
        operation: null,
        relatedTransactionId: transactionId,
        revision: 3,
      },
      newBalance: { balance: 100 },
    });
    expect(await balance()).toMatchObject({ balance: 100, totalEarned: 100, totalSpent: 0 });
  });

  it('gives back parts, to the last micro-credit and not one more', async () => {
    expect((await refund({ amount: 39.999999 })).body).toMatchObject({ newBalance: { balance: 99.999999 } });
    expect((await refund({ amount: 0.000001 })).body).toMatchObject({ newBalance: { balance: 100 } });
    const { status, body } = await refund({ amount: 0.000001 });
    expect(status).toBe(422);
    expect(body).toMatchObject({ error: 'refund_exceeds_consumption', details: { refundableCredits: 0 } });
  });

  it('names what is left where more is asked for, and gives nothing then', async () => {
    granted(await refund({ amount: 12.5 }));
    const { status, body } = await refund({ amount: 27.500001 });
    expect(status).toBe(422);
    expect(body).toEqual({
      statusCode: 422,
      error: 'refund_exceeds_consumption',
      message: 'More than is left of the consumption. Requested: 27.500001, Left: 27.5',
      details: { requestedCredits: 27.500001, refundableCredits: 27.5 },
      requestId: expect.any(String),
    });
    expect(await balance()).toMatchObject({ balance: 72.5 });
    expect((await refund({ amount: 27.5 })).status).toBe(200);
  });

  it("takes a commit's transaction as well as a use's", async () => {
    const reservationId = await holdCredits(service.app(), userId, 30);
    const committed = textOf(granted(await post('commit', { reservationId, amount: 35 })), 'transactionId');
    expect((await refund({ amount: 36, transactionId: committed })).status).toBe(422);
    expect((await refund({ amount: 35, transactionId: committed })).body).toMatchObject({ newBalance: { balance: 60 } });
    // The hold stays settled.
    expect((await post('refund-reservation', { reservationId })).status).toBe(409);
  });

  it('answers a repeat as first, and another request under the same key with 409', async () => {
    const first = granted(await refund({ amount: 10 }, { 'idempotency-key': 'k2' }));
    granted(await post('use', { userId, amount: 1 }));
    const again = await refund({ amount: 10 }, { 'idempotency-key': 'k2' });
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect((await refund({ amount: 11 }, { 'idempotency-key': 'k2' })).status).toBe(409);
    expect((await refund({ amount: 10, transactionId: undefined }, { 'idempotency-key': 'k2' })).status).toBe(409);
    // Another app's key is another key.
    expect((await refund({ amount: 10 }, { 'idempotency-key': 'k2' }, 'another')).body).toMatchObject({
      newBalance: { balance: 79 },
    });
  });

  it('gives back no more than was used, however many ask at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => refund({ amount: 7 })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
    expect(answers.filter(({ status }) => status === 422)).toHaveLength(7);
    expect(await balance()).toMatchObject({ balance: 95, totalSpent: 5 });
  });

  it('gives back free units for nothing, once', async () => {
    await priceForFree();
    const free = () => post('use', { userId, operation: 'sketch' }, {}, 'studio');
    const used = await free();
    expect(used.body).toMatchObject({ creditsUsed: 0, freeUsesRemaining: 0 });
    expect((await refund({ amount: 0, transactionId: idOf(used) })).status).toBe(200);
    expect((await refund({ amount: 0, transactionId: idOf(used) })).status).toBe(422);
    expect((await free()).body).toMatchObject({ creditsUsed: 0, freeUsesRemaining: 0 });
    expect((await free()).body).toMatchObject({ creditsUsed: 1 });
  });

  it('shows in history what it gave back, and points to the use', async () => {
    const given = granted(await refund({ amount: 4 }));
    const listed = await readOwn(service.app(), `${SERVICES}/transactions/${userId}`, { 'x-min-revision': tokenOf(given) });
    const [newest, used] = listed.body as readonly unknown[];
    expect(newest).toEqual((given.body as { transaction: unknown }).transaction);
    expect(used).toMatchObject({ id: transactionId, type: 'usage', amount: -40 });
    const { rows } = await database.superuser.query(
      'select about from read_model.transactions where user_id = $1 and revision = 3',
      [userId],
    );
    expect(rows).toEqual([{ about: '2' }]);
  });

  it.each([
    ['no amount', { amount: undefined }, 'amount'],
    ['a negative amount', { amount: -1 }, 'amount'],
    ['too many decimals', { amount: 0.0000001 }, 'amount'],
    ['an amount in words', { amount: '1' }, 'amount'],
    ['nothing, where nothing was free', { amount: 0 }, 'amount'],
    ['a goodwill of nothing', { amount: 0, transactionId: null }, 'amount'],
    ['a transaction id that is no text', { amount: 1, transactionId: 2 }, 'transactionId'],
    ['an empty transaction id', { amount: 1, transactionId: '' }, 'transactionId'],
    ['no user', { amount: 1, userId: undefined }, 'userId'],
    ['metadata that is no object', { amount: 1, metadata: [] }, 'metadata'],
    ['too long a description', { amount: 1, description: 'd'.repeat(1_001) }, 'description'],
  ])('refuses %s with 400', async (_, change, path) => {
    const { status, body } = await refund(change);
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: 'validation_failed', details: [{ path }] });
  });
});

/** Bugs of this kind were published of others. */
describe('refund swallowed with a 200', () => {
  it('a 200 means that the credits are there', async () => {
    for (const body of [
      { amount: 5 },
      { amount: 5 },
      { amount: 5, transactionId: undefined },
      { amount: 5, transactionId: null },
    ]) {
      const before = (await balance()) as { balance: number };
      granted(await refund(body));
      expect(await balance()).toMatchObject({ balance: before.balance + 5 });
    }
  });

  it('what names no consumption of this user is a 404, and never goodwill', async () => {
    const other = `${userId}-other`;
    await giveCredits(service.app(), other, 10);
    const theirs = idOf(await post('use', { userId: other, amount: 10 }));
    const grantId = `txn_1_account-${userId}`;
    const refundId = idOf(await refund({ amount: 1 }));
    const holdId = await holdCredits(service.app(), userId, 1);
    const named = [
      theirs,
      grantId,
      refundId,
      holdId,
      holdId.replace('rsv', 'txn'),
      'txn_99_account-x',
      `txn_99_account-${userId}`,
    ];
    for (const id of [...named, 'txn_0_', 'pay_123', ' ', `${transactionId}x`, transactionId.toUpperCase()]) {
      const answer = await refund({ amount: 1, transactionId: id });
      expect([id, answer.status, answer.body]).toMatchObject([id, 404, { error: 'transaction_not_found' }]);
    }
    expect((await refund({ userId: 'nobody', amount: 1 })).status).toBe(404);
    expect(await balance()).toMatchObject({ balance: 60 });
  });
});

describe('chargeback restoring the wrong amount', () => {
  it('a refund restores what was used of each lot, not what the lot once held, and what is left of it only', async () => {
    await giveCredits(service.app(), userId, 50, { priority: 1 });
    const both = idOf(await post('use', { userId, amount: 70 }));
    expect((await refund({ amount: 20, transactionId: both })).body).toMatchObject({ newBalance: { balance: 60 } });
    expect((await refund({ amount: 50.000001, transactionId: both })).body).toMatchObject({ details: { refundableCredits: 50 } });
    expect((await refund({ amount: 50, transactionId: both })).body).toMatchObject({ newBalance: { balance: 110 } });
    // 100 and 50 came in, 40 are used: the lots say the same as the balance.
    const events = await eventsOf(service.context.store, `account-${userId}`);
    expect(events.filter(({ type }) => type === 'CreditsRefunded').map((event) => dataOf(event)['restored'])).toEqual([
      [[1, 20_000_000]],
      [[3, 50_000_000]],
    ]);
  });
});

describe('revert answering 500', () => {
  it('a refund of what was refunded, or is a refund itself, is refused by name', async () => {
    const back = idOf(await refund({ amount: 40 }));
    for (const [body, status, error] of [
      [{ amount: 40 }, 422, 'refund_exceeds_consumption'],
      [{ amount: 0 }, 422, 'refund_exceeds_consumption'],
      [{ amount: 1_000_000_000 }, 422, 'refund_exceeds_consumption'],
      [{ amount: 40, transactionId: back }, 404, 'transaction_not_found'],
      [{ amount: 40, transactionId: 'txn_999999999999999_account-x' }, 404, 'transaction_not_found'],
      [{ amount: 40, transactionId: `txn_999999999999999_account-${userId}` }, 404, 'transaction_not_found'],
      [{ amount: 40, transactionId: `txn_-1_account-${userId}` }, 404, 'transaction_not_found'],
    ] as const) {
      const answer = await refund(body);
      expect([body, answer.status, answer.body]).toMatchObject([body, status, { error }]);
    }
    expect(service.logged.filter((line) => line.includes('request failed'))).toEqual([]);
  });
});
