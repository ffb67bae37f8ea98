import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CatalogueCommand } from '../../src/commands/catalogue-decider.ts';
import { CATALOGUE_STREAM } from '../../src/events/catalogue-events.ts';
import { giveCredits, granted, textOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';
import { credits } from '../support/account-samples.ts';

const SERVICES = '/api/v1/internal/credits';

let database: TestDatabase;
let service: Service;

const IMAGE = { app: 'picture', operation: 'image', cost: credits(10), per: 1, unit: null } as const;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url });
  await change({ type: 'PriceOperation', ...IMAGE, free: { uses: 3, period: 'lifetime' } });
  await change({ type: 'PriceOperation', ...IMAGE, operation: 'import', cost: credits(1), per: 10, unit: 'items', free: null });
  await change({ type: 'PriceOperation', ...IMAGE, app: 'watched', operation: 'look', free: null });
  await change({ type: 'SetAppMode', app: 'watched', mode: 'observe' });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

async function change(command: CatalogueCommand): Promise<void> {
  const id = randomUUID();
  const actor = { kind: 'system', name: 'test' } as const;
  const ids = { commandId: id, correlationId: id, causationId: null };
  const { kind } = await service.context.catalogueCommands.execute({
    stream: CATALOGUE_STREAM,
    command,
    actor,
    key: null,
    ...ids,
  });
  expect(kind).toBe('accepted');
}

const picture = () => service.app('picture');
const draw = (userId: string, more: object = {}) => picture().post(`${SERVICES}/use`, { userId, operation: 'image', ...more });
const remaining = ({ body }: { body: unknown }) => (body as { freeUsesRemaining?: number }).freeUsesRemaining;

describe('an operation with three free uses', () => {
  it('is free three times, then costs ten', async () => {
    await giveCredits(service.app(), 'three', 25);
    const answers = [];
    for (let count = 0; count < 6; count += 1) answers.push(await draw('three'));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 402]);
    expect(answers.slice(0, 5).map(remaining)).toEqual([2, 1, 0, 0, 0]);
    expect(answers[2]?.body).toMatchObject({ creditsUsed: 0, newBalance: { balance: 25 }, transaction: { operation: 'image' } });
    expect(answers[4]?.body).toMatchObject({ creditsUsed: 10, newBalance: { balance: 5, totalSpent: 20 } });
    expect(answers[5]?.body).toMatchObject({ requiredCredits: 10, availableCredits: 5, operation: 'image' });
  });

  it('is free three times to who calls a dozen times at once, by use and by reserve', async () => {
    await giveCredits(service.app(), 'dozen', 1_000);
    const calls = Array.from({ length: 12 }, (_, index) =>
      index % 2 === 0 ? draw('dozen') : picture().post(`${SERVICES}/reserve`, { userId: 'dozen', operation: 'image' }),
    );
    const answers = await Promise.all(calls);
    const charged = answers.map(({ body }) => body as { creditsUsed?: number; amount?: number });
    expect(charged.filter(({ creditsUsed, amount }) => (creditsUsed ?? amount) === 0)).toHaveLength(3);
    expect(charged.filter(({ creditsUsed, amount }) => (creditsUsed ?? amount) === 10)).toHaveLength(9);
  });

  it('gives a free use back with the hold that took it, and with a refund of it', async () => {
    await giveCredits(service.app(), 'back', 10);
    const held = await picture().post(`${SERVICES}/reserve`, { userId: 'back', operation: 'image' });
    expect(held.body).toMatchObject({ amount: 0, balance: 10, freeUsesRemaining: 2 });
    const reservationId = textOf(held, 'reservationId');
    granted(await picture().post(`${SERVICES}/refund-reservation`, { reservationId }));
    const used = granted(await draw('back'));
    expect(remaining(used)).toBe(2);
    const { id: transactionId } = (used.body as { transaction: { id: string } }).transaction;
    granted(await picture().post(`${SERVICES}/refund`, { userId: 'back', amount: 0, transactionId }));
    expect(remaining(granted(await draw('back')))).toBe(2);
  });

  it('answers a repeated key as at first, whatever the price is now', async () => {
    await change({ type: 'PriceOperation', ...IMAGE, operation: 'sketch', free: null });
    await giveCredits(service.app(), 'repeat', 100);
    const body = { operation: 'sketch', idempotencyKey: 'k' };
    const first = granted(await draw('repeat', body));
    await change({ type: 'PriceOperation', ...IMAGE, operation: 'sketch', cost: credits(20), free: null });
    const again = granted(await draw('repeat', body));
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect((granted(await draw('repeat', { operation: 'sketch' })).body as { creditsUsed: number }).creditsUsed).toBe(20);
  });

  it('answers a repeated key as at first, though nobody prices it any more', async () => {
    await change({ type: 'PriceOperation', ...IMAGE, operation: 'gone', free: null });
    await giveCredits(service.app(), 'retired', 100);
    const reserve = { userId: 'retired', operation: 'gone', idempotencyKey: 'r' };
    const atomic = { atomic: true, idempotencyKey: 'a', commands: [{ type: 'use', userId: 'retired', operation: 'gone' }] };
    const used = granted(await draw('retired', { operation: 'gone', idempotencyKey: 'u' }));
    const held = granted(await picture().post(`${SERVICES}/reserve`, reserve));
    const batch = granted(await picture().post(`${SERVICES}/batch`, atomic));
    await change({ type: 'RetireOperation', app: 'picture', operation: 'gone' });
    expect((await draw('retired', { operation: 'gone', idempotencyKey: 'u' })).body).toEqual(used.body);
    expect((await picture().post(`${SERVICES}/reserve`, reserve)).body).toEqual(held.body);
    expect((await picture().post(`${SERVICES}/batch`, atomic)).body).toEqual(batch.body);
    expect(await draw('retired', { operation: 'gone' })).toMatchObject({ status: 404, body: { error: 'operation_not_found' } });
  });

  it('is told by validate, which takes nothing', async () => {
    await giveCredits(service.app(), 'asks', 5);
    const validate = (operation: string) => picture().post(`${SERVICES}/validate`, { userId: 'asks', operation });
    for (let count = 0; count < 2; count += 1) {
      expect((await validate('image')).body).toEqual({
        hasCredits: true,
        availableCredits: 5,
        requiredCredits: 0,
        freeUsesRemaining: 3,
      });
    }
    for (let count = 0; count < 3; count += 1) granted(await draw('asks'));
    expect((await validate('image')).body).toMatchObject({ hasCredits: false, requiredCredits: 10, freeUsesRemaining: 0 });
  });
});

describe('an operation by quantity', () => {
  it('costs its share of a bundle', async () => {
    await giveCredits(service.app(), 'bulk', 10);
    const used = granted(await draw('bulk', { operation: 'import', quantity: 25 }));
    expect(used.body).toMatchObject({ creditsUsed: 2.5, newBalance: { balance: 7.5 } });
    expect(remaining(used)).toBeUndefined();
  });

  it.each([
    ['neither an amount nor an operation', {}, 'amount'],
    ['both', { amount: 1, operation: 'image' }, 'operation'],
    ['a quantity of an amount', { amount: 1, quantity: 2 }, 'quantity'],
    ['no whole quantity', { operation: 'import', quantity: 1.5 }, 'quantity'],
  ])('refuses %s', async (_, body, path) => {
    const answer = await picture().post(`${SERVICES}/use`, { userId: 'bulk', ...body });
    expect(answer).toMatchObject({ status: 400, body: { error: 'validation_failed', details: [{ path }] } });
  });
});

describe('whose price it is', () => {
  it('is 404 where nobody priced it for that app', async () => {
    for (const call of [
      draw('three', { operation: 'unheard-of' }),
      service.app('other').post(`${SERVICES}/use`, { userId: 'three', operation: 'image' }),
    ]) {
      expect(await call).toMatchObject({ status: 404, body: { error: 'operation_not_found' } });
    }
  });

  it('is the label’s where the credential names no app, and for users', async () => {
    await giveCredits(service.app(), 'label', 100);
    const body = { operation: 'image', appId: 'picture' };
    expect(remaining(granted(await service.app().post(`${SERVICES}/use`, { userId: 'label', ...body })))).toBe(2);
    const user = await service.user('label');
    expect(remaining(granted(await user.post('/api/v1/credits/use', body)))).toBe(1);
  });
});

describe('an app that is only observed', () => {
  it('is never refused, and the balance stays at zero', async () => {
    await giveCredits(service.app(), 'seen', 4);
    const watched = service.app('watched');
    const used = granted(await watched.post(`${SERVICES}/use`, { userId: 'seen', operation: 'look' }));
    expect(used.body).toMatchObject({ creditsUsed: 4, newBalance: { balance: 0 } });
    expect(granted(await watched.post(`${SERVICES}/use`, { userId: 'seen', amount: 3 })).body).toMatchObject({ creditsUsed: 0 });
    const held = granted(await watched.post(`${SERVICES}/reserve`, { userId: 'seen', amount: 3 }));
    expect(held.body).toMatchObject({ amount: 3, balance: 0 });
    granted(await watched.post(`${SERVICES}/commit`, { reservationId: textOf(held, 'reservationId'), amount: 5 }));
    const events = await service.context.store.readStream('account-seen', { limit: 10 });
    const uncovered = events.map(({ data }) => (JSON.parse(data) as { uncovered?: number }).uncovered ?? 0);
    expect(uncovered).toEqual([0, 0, credits(6), credits(3), credits(3), credits(5)]);
  });

  it('is never refused when it settles what the key of old held in its name', async () => {
    await giveCredits(service.app(), 'of-old', 5);
    const hold = async (appId: string) =>
      textOf(granted(await service.app().post(`${SERVICES}/reserve`, { userId: 'of-old', amount: 2, appId })), 'reservationId');
    const [watched, other] = [await hold('watched'), await hold('other')];
    const commit = (reservationId: string) => service.app().post(`${SERVICES}/commit`, { reservationId, amount: 8 });
    expect(await commit(other)).toMatchObject({ status: 402, body: { requiredCredits: 8, availableCredits: 3 } });
    expect(granted(await commit(watched)).body).toMatchObject({ creditsUsed: 3, balance: 0 });
    const [last] = await service.context.store.readStream('account-of-old', { direction: 'backward', limit: 1 });
    expect(JSON.parse(last?.data ?? '')).toMatchObject({ amount: credits(3), uncovered: credits(5) });
  });

  it('is no way for a user: a label makes nobody observed', async () => {
    await giveCredits(service.app(), 'poor', 1);
    const user = await service.user('poor');
    const answer = await user.post('/api/v1/credits/use', { operation: 'look', appId: 'watched' });
    expect(answer).toMatchObject({ status: 402, body: { error: 'insufficient_credits' } });
  });
});
