import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { SERVICE_KEY, type Service, startService } from '../support/service.ts';

/*
 * The three clients that were there before the ledger, to the letter: they send these bodies and no others, know
 * nothing of idempotency keys, transaction ids or revisions, and read of the answers what is read here.
 */

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

type Fields = { readonly [name: string]: unknown };

/** How they call: the one key of old, and in some an app. */
async function call(method: string, path: string, body?: Fields, appId?: string): Promise<{ status: number; body: Fields }> {
  const response = await fetch(`${service.url}/api/v1/internal/credits${path}`, {
    method,
    headers: {
      'Content-Type': 'application/json',
      'X-Service-Key': SERVICE_KEY,
      ...(appId !== undefined && { 'X-App-Id': appId }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Fields };
}

const post = (path: string, body: Fields, appId?: string) => call('POST', path, body, appId);

/** What they make of a balance. The read side may be a moment behind what was just written, for them as for all. */
function balanceOf(userId: string) {
  return expect.poll(
    async () => {
      const { status, body } = await call('GET', `/balance/${userId}`);
      return { status, balance: body['balance'], totalEarned: body['totalEarned'], totalSpent: body['totalSpent'] };
    },
    { timeout: 15_000 },
  );
}

describe('the client that checks, uses and refunds', () => {
  const userId = 'old-simple';
  const use = (amount: number) => post('/use', { userId, amount, appId: 'picture', description: 'Image generation' }, 'picture');
  const refund = (amount: number) =>
    post('/refund', { userId, amount, description: 'Generation failed', appId: 'picture' }, 'picture');

  it('reads zeros for somebody whom nobody knows', async () => {
    await balanceOf(userId).toEqual({ status: 200, balance: 0, totalEarned: 0, totalSpent: 0 });
  });

  it('reads the balance after a use and a refund', async () => {
    await post('/grant', { userId, amount: 100, reason: 'beta', referenceId: 'b-1' });
    const used = await use(10);
    expect(used).toMatchObject({ status: 200, body: { success: true, newBalance: { balance: 90, totalSpent: 10 } } });
    expect(used.body['transaction']).toMatchObject({
      type: 'usage',
      amount: -10,
      appId: 'picture',
      description: 'Image generation',
    });
    const back = await refund(10);
    expect(back).toMatchObject({ status: 200, body: { success: true, newBalance: { balance: 100 } } });
    expect(back.body['transaction']).toMatchObject({ type: 'refund', amount: 10, description: 'Generation failed' });
    await balanceOf(userId).toEqual({ status: 200, balance: 100, totalEarned: 110, totalSpent: 10 });
  });

  it('has each of its refunds, since it says of none that it is a repeat', async () => {
    const amounts = [(await refund(5)).body['newBalance'], (await refund(5)).body['newBalance']];
    expect(amounts).toEqual([{ balance: 105 }, { balance: 110 }]);
  });

  it('finds in a 402 what is needed and what is there, at the top and in the details', async () => {
    const { status, body } = await use(500);
    expect(status).toBe(402);
    expect(body).toMatchObject({
      error: 'insufficient_credits',
      message: 'Insufficient credits. Required: 500, Available: 110',
      requiredCredits: 500,
      availableCredits: 110,
      details: { requiredCredits: 500, availableCredits: 110, required: 500, available: 110 },
    });
    expect((await post('/use', { userId: 'old-nobody', amount: 1, appId: 'picture', description: 'x' })).body).toMatchObject({
      requiredCredits: 1,
      availableCredits: 0,
    });
  });
});

describe('the client that reserves, commits or gives back', () => {
  const userId = 'old-holds';
  const reserve = (amount: number) => post('/reserve', { userId, amount, reason: 'llm-call' });

  it('holds, takes all of it, and reads what is left', async () => {
    await post('/grant', { userId, amount: 20, reason: 'beta', referenceId: 'b-1' });
    const held = await reserve(8);
    expect(held).toMatchObject({ status: 200, body: { balance: 12 } });
    const { reservationId } = held.body;
    expect(typeof reservationId).toBe('string');
    const taken = await post('/commit', { reservationId, description: 'LLM call' });
    expect(taken).toMatchObject({ status: 200, body: { success: true, balance: 12 } });
    // Once more, as after an answer that was lost.
    expect(await post('/commit', { reservationId, description: 'LLM call' })).toEqual(taken);
    await balanceOf(userId).toEqual({ status: 200, balance: 12, totalEarned: 20, totalSpent: 8 });
  });

  it('holds and gives all of it back', async () => {
    const { reservationId } = (await reserve(12)).body;
    const back = await post('/refund-reservation', { reservationId });
    expect(back).toMatchObject({ status: 200, body: { success: true, balance: 12 } });
    expect(await post('/refund-reservation', { reservationId })).toEqual(back);
    await balanceOf(userId).toEqual({ status: 200, balance: 12, totalEarned: 20, totalSpent: 8 });
  });

  it('finds in a 402 what is needed and what is there', async () => {
    const { status, body } = await reserve(13);
    expect(status).toBe(402);
    expect(body).toMatchObject({
      requiredCredits: 13,
      availableCredits: 12,
      details: { requiredCredits: 13, availableCredits: 12, required: 13, available: 12 },
    });
  });
});

describe('the client that grants', () => {
  const userId = 'old-grants';
  const grant = (amount: number, referenceId: string) => post('/grant', { userId, amount, reason: 'referral', referenceId });

  it('is told what it gave, and that it had given it before', async () => {
    const first = await grant(25, 'friend-1');
    expect(first.status).toBe(200);
    const { ok, alreadyGranted, newBalance, transactionId } = first.body;
    expect({ ok, alreadyGranted, newBalance }).toEqual({ ok: true, alreadyGranted: false, newBalance: 25 });
    expect((await grant(25, 'friend-1')).body).toEqual({ ok: true, alreadyGranted: true, newBalance: 25, transactionId });
    expect((await grant(25, 'friend-2')).body).toMatchObject({ ok: true, alreadyGranted: false, newBalance: 50 });
    await balanceOf(userId).toEqual({ status: 200, balance: 50, totalEarned: 50, totalSpent: 0 });
  });
});
