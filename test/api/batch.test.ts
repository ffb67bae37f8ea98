import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountStream } from '../../src/events/account-events.ts';
import { giveCredits, granted, holdCredits, tokenOf } from '../support/api-client.ts';
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

type Result = {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly revision?: string;
  readonly idempotencyKey?: string;
  readonly idempotencyReplayed?: true;
};

async function batch(commands: readonly object[], more: object = {}, app?: string) {
  const answer = await service.app(app).post(`${SERVICES}/batch`, { commands, ...more });
  return { ...answer, results: ((answer.body as { results?: unknown }).results ?? []) as readonly Result[] };
}

async function balanceOf(userId: string): Promise<number> {
  const { body } = granted(await service.app().post(`${SERVICES}/init`, { userId }));
  return (body as { balance: number }).balance;
}

async function eventsOf(userId: string): Promise<number> {
  return (await service.context.store.readStream(accountStream(userId), { limit: 10_000 })).length;
}

describe('POST /internal/credits/batch', () => {
  it('gives each command the answer of its own route, and its own token', async () => {
    await giveCredits(service.app(), 'kinds', 100);
    const held = await holdCredits(service.app(), 'kinds', 10);
    const failed = await holdCredits(service.app(), 'kinds', 10);
    const { status, results } = await batch([
      { type: 'use', userId: 'kinds', amount: 1.5, idempotencyKey: 'k1' },
      { type: 'reserve', userId: 'kinds', amount: 5, idempotencyKey: 'k2' },
      { type: 'commit', reservationId: held, amount: 7, idempotencyKey: 'k3' },
      { type: 'release', reservationId: failed, idempotencyKey: 'k4' },
      { type: 'grant', userId: 'kinds', amount: 3, reason: 'batch', referenceId: 'g1', idempotencyKey: 'k5' },
      { type: 'refund', userId: 'kinds', amount: 0.5, transactionId: 'txn_4_account-kinds', idempotencyKey: 'k6' },
    ]);
    expect(status).toBe(200);
    expect(results.map(({ status: one }) => one)).toEqual([200, 200, 200, 200, 200, 200]);
    const [use, reserve, commit, release, grant, refund] = results.map(({ body }) => body);
    expect(use).toMatchObject({ success: true, creditsUsed: 1.5, newBalance: { balance: 78.5 } });
    expect(reserve).toMatchObject({ reservationId: 'rsv_5_account-kinds', amount: 5, balance: 73.5 });
    expect(commit).toMatchObject({ success: true, creditsUsed: 7, released: 3, balance: 76.5 });
    expect(release).toMatchObject({ success: true, released: 10, balance: 86.5 });
    expect(grant).toMatchObject({ ok: true, alreadyGranted: false, newBalance: 89.5 });
    expect(refund).toMatchObject({ success: true, newBalance: { balance: 90 } });
    expect(new Set(results.map(({ revision }) => revision)).size).toBe(6);
    expect(results.map(({ idempotencyKey }) => idempotencyKey)).toEqual(['k1', 'k2', 'k3', 'k4', 'k5', 'k6']);
  });

  it('keeps the order of an account, and lets no refusal harm another command', async () => {
    await giveCredits(service.app(), 'order', 10);
    const { results } = await batch([
      { type: 'use', userId: 'order', amount: 6 },
      { type: 'use', userId: 'order', amount: 6 },
      { type: 'use', userId: 'nobody', amount: 1 },
      { type: 'use', userId: 'order', amount: -1 },
      { type: 'commit', reservationId: 'rsv_9_account-order' },
      { type: 'use', userId: 'order', amount: 4 },
    ]);
    expect(results.map(({ status }) => status)).toEqual([200, 402, 402, 400, 404, 200]);
    expect(results[1]?.body).toMatchObject({ error: 'insufficient_credits', requiredCredits: 6, availableCredits: 4 });
    expect(results[3]?.body).toMatchObject({ error: 'validation_failed', details: [{ path: 'commands.3.amount' }] });
    expect(await balanceOf('order')).toBe(0);
  });

  it('answers a repeat as it did at first, wherever the key was used', async () => {
    await giveCredits(service.app(), 'again', 10);
    const body = { userId: 'again', amount: 4, idempotencyKey: 'once' };
    const first = granted(await service.app().post(`${SERVICES}/use`, body));
    const { results } = await batch([
      { type: 'use', ...body },
      { type: 'use', ...body, amount: 5 },
    ]);
    expect(results[0]).toMatchObject({ status: 200, body: first.body, idempotencyReplayed: true });
    expect(results[1]).toMatchObject({ status: 409, body: { error: 'idempotency_conflict' } });
    expect(await balanceOf('again')).toBe(6);
  });

  it.each([
    ['header', 'night', { 'idempotency-key': 'night' }, {}],
    ['body', 'evening', {}, { idempotencyKey: 'evening' }],
  ])('runs commands without a key under the one in the %s: repeated, they are done once', async (where, key, headers, more) => {
    const userId = `keyed-${where}`;
    await giveCredits(service.app(), userId, 20);
    const commands = [
      { type: 'use', userId, amount: 1 },
      { type: 'use', userId, amount: 2, idempotencyKey: `own ${where}` },
      { type: 'use', userId, amount: 1 },
      { type: 'use', userId, amount: 100 },
    ];
    const send = async (some: readonly object[]): Promise<readonly Result[]> => {
      const { body } = await service.app().post(`${SERVICES}/batch`, { commands: some, ...more }, headers);
      return (body as { results: readonly Result[] }).results;
    };
    const first = await send(commands);
    expect(first.map(({ status }) => status)).toEqual([200, 200, 200, 402]);
    expect(first.map(({ idempotencyKey }) => idempotencyKey)).toEqual([`${key}:0`, `own ${where}`, `${key}:2`, `${key}:3`]);
    const again = await send(commands);
    expect(again.slice(0, 3)).toEqual(first.slice(0, 3).map((one) => ({ ...one, idempotencyReplayed: true })));
    expect(await balanceOf(userId)).toBe(16);
    // Another request: the first command of which only looks the same.
    expect((await send(commands.slice(0, 1)))[0]).toMatchObject({ status: 409, body: { error: 'idempotency_conflict' } });
  });

  it('refuses a key that is none, and two that differ', async () => {
    const body = { commands: [{ type: 'use', userId: 'keys', amount: 1 }], idempotencyKey: 'one' };
    const answer = await service.app().post(`${SERVICES}/batch`, body, { 'idempotency-key': 'two' });
    expect(answer).toMatchObject({ status: 400, body: { details: [{ path: 'idempotencyKey' }] } });
  });

  it('takes a thousand commands of many accounts, and no more', async () => {
    const grants = Array.from({ length: 1_000 }, (_, index) => ({
      type: 'grant',
      userId: `many-${index % 50}`,
      amount: 1,
      reason: 'many',
      referenceId: `r${index}`,
    }));
    const { results } = await batch(grants);
    expect(results.every(({ status }) => status === 200)).toBe(true);
    expect(await balanceOf('many-7')).toBe(20);
    expect((await batch([...grants, grants[0] as object])).status).toBe(400);
    expect((await batch([])).status).toBe(400);
    expect((await batch([{ type: 'init', userId: 'many-1' }])).body).toMatchObject({ error: 'validation_failed' });
  });
});

describe('with atomic', () => {
  it('does all of it under one key, and answers a repeat from the log', async () => {
    await giveCredits(service.app(), 'all', 10);
    const held = await holdCredits(service.app(), 'all', 5);
    const commands = [
      { type: 'grant', userId: 'all', amount: 2, reason: 'atomic', referenceId: 'a1' },
      { type: 'commit', reservationId: held, amount: 3 },
      { type: 'use', userId: 'all', amount: 9 },
    ];
    const first = await batch(commands, { atomic: true, idempotencyKey: 'whole' });
    expect(first.results.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(first.results[2]?.body).toMatchObject({ success: true, newBalance: { balance: 0 } });
    const written = await eventsOf('all');
    const again = await batch(commands, { atomic: true, idempotencyKey: 'whole' });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(tokenOf(again)).toBe(tokenOf(first));
    expect(again.results).toEqual(first.results);
    const other = await batch(commands.slice(1), { atomic: true, idempotencyKey: 'whole' });
    expect(other).toMatchObject({ status: 409, body: { error: 'idempotency_conflict' } });
    expect(await eventsOf('all')).toBe(written);
  });

  it('does none of it after a refusal, and tells the others so', async () => {
    await giveCredits(service.app(), 'none', 10);
    const written = await eventsOf('none');
    const { status, results } = await batch(
      [
        { type: 'use', userId: 'none', amount: 6 },
        { type: 'use', userId: 'none', amount: 6 },
        { type: 'use', userId: 'none', amount: 1 },
      ],
      { atomic: true },
    );
    expect(status).toBe(200);
    expect(results.map(({ body }) => body['error'])).toEqual(['batch_aborted', 'insufficient_credits', 'batch_aborted']);
    expect(results.map((one) => one.status)).toEqual([409, 402, 409]);
    expect(await eventsOf('none')).toBe(written);
  });

  it('says what was done before beside what is done now', async () => {
    await giveCredits(service.app(), 'mixed', 10, { reason: 'mixed', referenceId: 'm1' });
    const commands = [
      { type: 'grant', userId: 'mixed', amount: 10, reason: 'mixed', referenceId: 'm1' },
      { type: 'use', userId: 'mixed', amount: 1 },
    ];
    const first = await batch(commands, { atomic: true, idempotencyKey: 'm' });
    expect(first.results[0]?.body).toMatchObject({ alreadyGranted: true });
    expect(first.results[1]?.body).toMatchObject({ newBalance: { balance: 9 } });
    // The grant comes first, when there were ten; and that is what a repeat is told, whatever was spent since.
    expect(first.results[0]?.body).toMatchObject({ newBalance: 10 });
    granted(await service.app().post(`${SERVICES}/use`, { userId: 'mixed', amount: 4 }));
    expect((await batch(commands, { atomic: true, idempotencyKey: 'm' })).results).toEqual(first.results);
    await giveCredits(service.app(), 'mixed', 4);
    const only = await batch(commands.slice(0, 1), { atomic: true });
    expect(only.results[0]).toMatchObject({ status: 200, body: { alreadyGranted: true, newBalance: 9 } });
  });

  it('repeats a grant that was given before its end passed, though it could not be given now', async () => {
    const gone = { type: 'grant', userId: 'gone', amount: 5, reason: 'gone', referenceId: 'g1' };
    const soon = new Date(Date.now() + 60_000).toISOString();
    granted(await service.app().post(`${SERVICES}/grant`, { ...gone, type: undefined, expiresAt: soon }));
    const past = new Date(Date.now() - 60_000).toISOString();
    const { results } = await batch(
      [
        { ...gone, expiresAt: past },
        { type: 'use', userId: 'gone', amount: 1 },
      ],
      { atomic: true },
    );
    expect(results.map(({ status }) => status)).toEqual([200, 200]);
    expect(results[0]?.body).toMatchObject({ alreadyGranted: true });
    expect(await balanceOf('gone')).toBe(4);
  });

  it.each([
    [
      'two accounts',
      [
        { type: 'use', userId: 'all', amount: 1 },
        { type: 'use', userId: 'none', amount: 1 },
      ],
      'commands.1',
    ],
    ['a key of a command', [{ type: 'use', userId: 'all', amount: 1, idempotencyKey: 'x' }], 'commands.0.idempotencyKey'],
    [
      'one hold twice',
      [
        { type: 'release', reservationId: 'rsv_2_account-all' },
        { type: 'commit', reservationId: 'rsv_2_account-all' },
      ],
      'commands.1',
    ],
    [
      'one grant twice',
      Array.from({ length: 2 }, () => ({ type: 'grant', userId: 'all', amount: 1, reason: 'r', referenceId: 'r' })),
      'commands.1',
    ],
    ['a hundred and one', Array.from({ length: 101 }, () => ({ type: 'use', userId: 'all', amount: 0.000001 })), 'commands'],
    ['a fault in one', [{ type: 'use', userId: 'all' }], 'commands.0.amount'],
  ])('refuses %s as a whole', async (_, commands, path) => {
    const { status, body } = await batch(commands, { atomic: true });
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: 'validation_failed', details: [{ path }] });
  });

  it('does it under a key that no header can hold, too', async () => {
    await giveCredits(service.app(), 'key', 10);
    const more = { atomic: true, idempotencyKey: 'ключ\nkey' };
    const commands = [{ type: 'use', userId: 'key', amount: 1 }];
    const first = await batch(commands, more);
    expect(first).toMatchObject({ status: 200, results: [{ status: 200 }] });
    expect((await batch(commands, more)).results).toEqual(first.results);
    expect(await balanceOf('key')).toBe(9);
  });

  it('is one among parallel repeats', async () => {
    await giveCredits(service.app(), 'race', 10);
    const commands = [
      { type: 'use', userId: 'race', amount: 1 },
      { type: 'use', userId: 'race', amount: 2 },
    ];
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => batch(commands, { atomic: true, idempotencyKey: 'race' })),
    );
    for (const { results } of answers) expect(results).toEqual(answers[0]?.results);
    expect(await balanceOf('race')).toBe(7);
  });
});
