import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, type ApiClient, giveCredits, granted, type HeadersSent, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { lengthOf } from '../support/log-of.ts';
import { type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';

let database: TestDatabase;
let service: Service;
let users = 0;
let userId: string;
let reservationId: string;

const start = () => startService({ databaseUrl: database.url, env: { SIGNUP_GRANT: '5' } });

beforeAll(async () => {
  database = await createTestDatabase();
  service = await start();
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

beforeEach(() => {
  users += 1;
  userId = `again-${users}`;
});

/** Everybody has 100 credits, 40 of them held; but for `init`, whose user is new. */
async function prepare(route: string): Promise<void> {
  if (route === 'init') return;
  await giveCredits(service.app(), userId, 100);
  reservationId = await holdCredits(service.app(), userId, 40);
}

type Route = { readonly path: string; readonly body: () => object; readonly other: () => object; readonly events: number };

/** A good body of every mutating route, another one, and how many events it writes. */
const ROUTES: Readonly<Record<string, Route>> = {
  init: { path: `${SERVICES}/init`, body: () => ({ userId }), other: () => ({ userId, more: 1 }), events: 2 },
  grant: {
    path: `${SERVICES}/grant`,
    body: () => ({ userId, amount: 1, reason: 'again', referenceId: 'again', description: 'personal' }),
    other: () => ({ userId, amount: 2, reason: 'again', referenceId: 'other' }),
    events: 1,
  },
  use: {
    path: `${SERVICES}/use`,
    body: () => ({ userId, amount: 1, metadata: { b: 1, a: [0.1] } }),
    other: () => ({ userId, amount: 1, metadata: { b: 1, a: [0.2] } }),
    events: 1,
  },
  'use by the user': { path: '/api/v1/credits/use', body: () => ({ amount: 1 }), other: () => ({ amount: 2 }), events: 1 },
  reserve: {
    path: `${SERVICES}/reserve`,
    body: () => ({ userId, amount: 1 }),
    other: () => ({ userId, amount: 1, ttlSeconds: 60 }),
    events: 1,
  },
  commit: {
    path: `${SERVICES}/commit`,
    body: () => ({ reservationId, amount: 1 }),
    other: () => ({ reservationId, amount: 2 }),
    events: 1,
  },
  'refund-reservation': {
    path: `${SERVICES}/refund-reservation`,
    body: () => ({ reservationId }),
    other: () => ({ reservationId, reason: 'other' }),
    events: 1,
  },
};

describe.each(Object.entries(ROUTES))('the same key again: %s', (name, { path, body, other, events }) => {
  const client = async (at: Service = service): Promise<ApiClient> => (path.includes('internal') ? at.app() : at.user(userId));
  const call = async (more: object, headers: HeadersSent = {}, at?: Service) =>
    (await client(at)).post(path, { ...body(), ...more }, headers);

  it('gives the first answer, whatever has happened since', async () => {
    await prepare(name);
    const first = granted(await call({ idempotencyKey: 'k' }));
    const before = await countEvents();
    granted(await service.app().post(`${SERVICES}/use`, { userId, amount: 1, idempotencyKey: 'between' }));
    const again = await call({ idempotencyKey: 'k' });
    expectReplay(again, first);
    expect(await countEvents()).toBe(before + 1);
  });

  it('has one effect and one answer where many come at the same time', async () => {
    await prepare(name);
    const before = await countEvents();
    const answers = await Promise.all(Array.from({ length: 16 }, () => call({ idempotencyKey: 'k' })));
    const first = answers.find(({ headers }) => headers.get('idempotency-replayed') === null);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(15);
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(body).toEqual(first?.body);
    }
    expect(await countEvents()).toBe(before + events);
  });

  it('gives the first answer in another process', async () => {
    await prepare(name);
    const first = granted(await call({ idempotencyKey: 'k' }));
    const another = await start();
    try {
      expectReplay(await call({ idempotencyKey: 'k' }, {}, another), first);
    } finally {
      await another.close();
    }
  });

  it('is a conflict with another body', async () => {
    await prepare(name);
    granted(await call({ idempotencyKey: 'k' }));
    const before = await countEvents();
    const { status, body } = await (await client()).post(path, { ...other(), idempotencyKey: 'k' });
    expect(status).toBe(409);
    expect(body).toMatchObject({ error: 'idempotency_conflict' });
    expect(await countEvents()).toBe(before);
  });

  it('may stand in the header as well as in the body, or in both, but not differ', async () => {
    await prepare(name);
    const differs = await call({ idempotencyKey: 'k' }, { 'idempotency-key': 'l' });
    expect(differs.status).toBe(400);
    expect(differs.body).toMatchObject({ error: 'validation_failed', details: [{ path: 'idempotencyKey' }] });
    const first = granted(await call({}, { 'idempotency-key': 'k' }));
    expect(first.headers.get('idempotency-key')).toBe('k');
    expectReplay(await call({ idempotencyKey: 'k' }), first);
    expectReplay(await call({ idempotencyKey: 'k' }, { 'idempotency-key': 'k' }), first);
    expectReplay(await call({ idempotencyKey: null }, { 'idempotency-key': 'k' }), first);
  });

  it('is made where there is none, and good for another try', async () => {
    await prepare(name);
    const first = granted(await call({}));
    const made = first.headers.get('idempotency-key') ?? '';
    expect(made).toMatch(/^[\da-f-]{36}$/);
    expectReplay(await call({}, { 'idempotency-key': made }), first);
  });
});

function expectReplay(again: Answer, first: Answer): void {
  expect(again.body).toEqual(first.body);
  expect(again.status).toBe(first.status);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(again.headers.get('idempotency-key')).toBe(first.headers.get('idempotency-key'));
  expect(again.headers.get('x-ledger-revision')).toBe(first.headers.get('x-ledger-revision'));
}

describe('a key', () => {
  it('is another where another app or user calls, or where it is about another account', async () => {
    await prepare('use');
    const body = { userId, amount: 1, idempotencyKey: 'k' };
    const answers = [
      await service.app().post(`${SERVICES}/use`, body),
      await service.app('one').post(`${SERVICES}/use`, body),
      await service.app('two').post(`${SERVICES}/use`, { ...body, amount: 2 }),
      await (await service.user(userId)).post('/api/v1/credits/use', { amount: 3, idempotencyKey: 'k' }),
    ];
    for (const answer of answers) {
      granted(answer);
      expect(answer.headers.get('idempotency-replayed')).toBeNull();
    }
    // Without a name an app is called default.
    expect((await service.app('default').post(`${SERVICES}/use`, body)).headers.get('idempotency-replayed')).toBe('true');
    const first = userId;
    userId = `${first}-other`;
    await prepare('use');
    const elsewhere = granted(await service.app().post(`${SERVICES}/use`, { ...body, userId }));
    expect(elsewhere.headers.get('idempotency-replayed')).toBeNull();
  });

  it('takes the same body in another order, or with white space, for the same', async () => {
    await prepare('use');
    const type = { 'content-type': 'application/json' };
    const send = (text: string) => service.app().send('POST', `${SERVICES}/use`, text, type);
    const first = granted(await send(`{"userId":"${userId}","amount":1.50,"idempotencyKey":"k","metadata":{"a":1,"b":2}}`));
    expectReplay(await send(`{ "metadata": {"b":2, "a":1.0}, "idempotencyKey":"k", "amount":1.5, "userId":"${userId}" }`), first);
  });

  it.each(['ключ', '鍵', 'with\nline', 'with\ttab', 'é', '🔑', ' with spaces '])(
    'may hold anything where it stands in the body: %j',
    async (key) => {
      await prepare('use');
      const body = { userId, amount: 1, idempotencyKey: key };
      const first = granted(await service.app().post(`${SERVICES}/use`, body));
      expectReplay(await service.app().post(`${SERVICES}/use`, body), first);
    },
  );

  it('may be as long as 255 characters', async () => {
    await prepare('use');
    const body = { userId, amount: 1, idempotencyKey: 'k'.repeat(255) };
    const first = granted(await service.app().post(`${SERVICES}/use`, body));
    expectReplay(await service.app().post(`${SERVICES}/use`, body), first);
  });
});

async function countEvents(): Promise<number> {
  return lengthOf(service.context.store, `account-${userId}`);
}
