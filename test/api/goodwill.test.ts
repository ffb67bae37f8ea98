import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, giveCredits, granted } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { dataOf, eventsOf } from '../support/log-of.ts';
import { type Service, startService } from '../support/service.ts';
import { makeKey } from './keyed.ts';

const SERVICES = '/api/v1/internal/credits';

let database: TestDatabase;
let service: Service;
let user = 0;
let userId: string;
let transactionId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

// Everybody has used 40 of 100 credits.
beforeEach(async () => {
  user += 1;
  userId = `goodwill-${user}`;
  await giveCredits(service.app(), userId, 100);
  transactionId = idOf(await post('use', { userId, amount: 40 }));
});

function post(route: string, body: object, headers: Record<string, string> = {}, app?: string): Promise<Answer> {
  return service.app(app).post(`${SERVICES}/${route}`, body, headers);
}

function goodwill(body: object = {}, headers?: Record<string, string>, app?: string): Promise<Answer> {
  return post('refund', { userId, amount: 5, description: 'sorry', ...body }, headers, app);
}

function idOf(answer: Answer): string {
  return (granted(answer).body as { transaction: { id: string } }).transaction.id;
}

async function balance(): Promise<unknown> {
  return (await post('init', { userId })).body;
}

describe('a refund without a transaction', () => {
  it('is not taken for a grant under the same key, nor the other way round', async () => {
    const body = { userId, amount: 5, reason: 'sorry', referenceId: randomUUID() };
    for (const [first, second] of [
      ['refund', 'grant'],
      ['grant', 'refund'],
    ] as const) {
      const key = { 'idempotency-key': randomUUID() };
      granted(await post(first, body, key));
      expect(await post(second, body, key)).toMatchObject({ status: 409, body: { error: 'idempotency_conflict' } });
    }
  });

  it('is goodwill: marked as a refund in history, and as goodwill in the books', async () => {
    const { status, body } = await goodwill();
    expect(status).toBe(200);
    expect(body).toMatchObject({
      success: true,
      transaction: { id: `txn_3_account-${userId}`, type: 'refund', amount: 5, balanceAfter: 65, description: 'sorry' },
      newBalance: { balance: 65 },
    });
    const event = (await eventsOf(service.context.store, `account-${userId}`))[3];
    expect(event?.type).toBe('CreditsGranted');
    expect(dataOf(event)).toMatchObject({ source: 'goodwill', reason: 'goodwill', amount: 5_000_000 });
    // It took nothing back of what was used.
    expect(await balance()).toMatchObject({ totalEarned: 105, totalSpent: 40 });
    expect((await goodwill({ amount: 40, transactionId })).status).toBe(200);
  });

  it('is given each time it is asked for, but for a repeat under its key', async () => {
    granted(await goodwill());
    granted(await goodwill());
    const keyed = granted(await goodwill({}, { 'idempotency-key': 'g1' }));
    const again = await goodwill({}, { 'idempotency-key': 'g1' });
    expect(again.body).toEqual(keyed.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    granted(await goodwill({}, { 'idempotency-key': 'g1' }, 'another'));
    expect(await balance()).toMatchObject({ balance: 80 });
  });

  it('is given once to many who ask at once under one key', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => goodwill({ idempotencyKey: 'g2' })));
    expect(new Set(answers.map(idOf)).size).toBe(1);
    expect(await balance()).toMatchObject({ balance: 65 });
  });

  it('opens an account where there is none', async () => {
    const { status, body } = await goodwill({ userId: `${userId}-new` });
    expect(status).toBe(200);
    expect(body).toMatchObject({ newBalance: { balance: 5 } });
  });
});

describe('who may give back what nobody used', () => {
  it('needs a scope of its own, beside that for any refund', async () => {
    const writer = (await makeKey(database, { name: 'writer', scopes: ['credits:write'] })).as(service);
    const desk = (await makeKey(database, { name: 'desk', scopes: ['credits:write', 'credits:refund-unlinked'] })).as(service);
    const unlinked = { userId, amount: 5, description: 'sorry' };
    for (const body of [unlinked, { ...unlinked, transactionId: null }]) {
      const { status, body: told } = await writer.post(`${SERVICES}/refund`, body);
      expect([status, told]).toMatchObject([403, { error: 'forbidden', details: { scope: 'credits:refund-unlinked' } }]);
      expect((await desk.post(`${SERVICES}/refund`, body)).status).toBe(200);
    }
    expect((await writer.post(`${SERVICES}/refund`, { ...unlinked, transactionId })).status).toBe(200);
    expect(await balance()).toMatchObject({ balance: 75 });
    const reader = (await makeKey(database, { name: 'reader', scopes: ['credits:read', 'credits:refund-unlinked'] })).as(service);
    expect((await reader.post(`${SERVICES}/refund`, unlinked)).status).toBe(403);
    const { status } = await (await service.user(userId)).post(`${SERVICES}/refund`, unlinked);
    expect(status).toBe(401);
  });
});

describe('in a batch', () => {
  const item = { type: 'refund', amount: 5 };

  it.each([true, false])('is given once for each command, however often the batch is repeated (atomic: %s)', async (atomic) => {
    const keyOf = (place: number) => (atomic ? {} : { idempotencyKey: `item-${place}` });
    const commands = [0, 1, 2].map((place) => ({ ...item, userId, ...keyOf(place) }));
    const body = { commands, ...(atomic && { atomic, idempotencyKey: 'batch-1' }) };
    const first = granted(await post('batch', body));
    const ids = (first.body as { results: { body: { transaction: { id: string } } }[] }).results.map(
      (result) => result.body.transaction.id,
    );
    expect(new Set(ids).size).toBe(3);
    const again = granted(await post('batch', body));
    expect((again.body as { results: { body: unknown }[] }).results.map((result) => result.body)).toEqual(
      (first.body as { results: { body: unknown }[] }).results.map((result) => result.body),
    );
    expect(await balance()).toMatchObject({ balance: 75, totalEarned: 115 });
    const alone = await goodwill({ idempotencyKey: atomic ? 'batch-2' : 'item-9' });
    expect(alone.body).toMatchObject({ newBalance: { balance: 80 } });
  });
});
