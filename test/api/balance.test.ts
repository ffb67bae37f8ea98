import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, giveCredits, granted, holdCredits, readOwn, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventsOf, lengthOf } from '../support/log-of.ts';
import { type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';

let database: TestDatabase;
let service: Service;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url, workers: true, env: { SIGNUP_GRANT: '25' } });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

function seen(answer: Answer): Record<string, string> {
  return { 'x-min-revision': tokenOf(answer) };
}

const NOTHING = { balance: 0, totalEarned: 0, totalSpent: 0, reserved: 0, debt: 0, currency: 'mana', expiring: [], revision: -1 };

describe('GET /credits/balance', () => {
  it('shows what the user has', async () => {
    const app = service.app();
    await giveCredits(app, 'balance-user', 100);
    await holdCredits(app, 'balance-user', 12.5);
    const used = granted(await app.post(`${SERVICES}/use`, { userId: 'balance-user', amount: 0.02 }));
    const user = await service.user('balance-user');
    const { status, body } = await readOwn(user, '/api/v1/credits/balance', seen(used));
    expect(status).toBe(200);
    expect(body).toEqual({
      userId: 'balance-user',
      balance: 87.48,
      totalEarned: 100,
      totalSpent: 0.02,
      reserved: 12.5,
      debt: 0,
      currency: 'mana',
      expiring: [],
      revision: 3,
    });
  });

  it('shows zeros to a user whom nobody knows, and opens nothing', async () => {
    const user = await service.user('balance-nobody');
    expect((await user.get('/api/v1/credits/balance')).body).toEqual({ userId: 'balance-nobody', ...NOTHING });
    expect(await lengthOf(service.context.store, 'account-balance-nobody')).toBe(0);
  });
});

describe('GET /internal/credits/balance/:userId', () => {
  it('shows what a user has, and what of it runs out, soonest first', async () => {
    const app = service.app();
    const [later, sooner] = [inHours(48), inHours(24)];
    await giveCredits(app, 'expiring-user', 10, { expiresAt: later });
    await giveCredits(app, 'expiring-user', 7);
    await giveCredits(app, 'expiring-user', 5, { expiresAt: sooner });
    const used = granted(await app.post(`${SERVICES}/use`, { userId: 'expiring-user', amount: 1 }));
    const { status, body } = await readOwn(app, `${SERVICES}/balance/expiring-user`, seen(used));
    expect(status).toBe(200);
    expect(body).toEqual({
      userId: 'expiring-user',
      balance: 21,
      totalEarned: 22,
      totalSpent: 1,
      reserved: 0,
      debt: 0,
      currency: 'mana',
      expiring: [
        { amount: 4, at: sooner },
        { amount: 10, at: later },
      ],
      revision: 4,
    });
  });

  it('takes any name of a user that a URL can carry', async () => {
    const app = service.app();
    for (const userId of ['a/b?c#d', 'Ünïcödé 日本', '%00', '~tilde', '日'.repeat(128)]) {
      const given = await giveCredits(app, userId, 3);
      const { status, body } = await readOwn(app, `${SERVICES}/balance/${encodeURIComponent(userId)}`, seen(given));
      expect(status).toBe(200);
      expect(body).toMatchObject({ userId, balance: 3 });
    }
  });
});

describe('POST /internal/credits/init', () => {
  it('opens an account with the signup grant, and gives that once however often it is called', async () => {
    const app = service.app();
    const opened = { ...NOTHING, userId: 'init-user', balance: 25, totalEarned: 25, revision: 1 };
    const first = await app.post(`${SERVICES}/init`, { userId: 'init-user' });
    expect(first.status).toBe(200);
    expect(first.body).toEqual(opened);
    const again = await service.app('another').post(`${SERVICES}/init`, { userId: 'init-user' });
    expect(again.status).toBe(200);
    expect(again.body).toEqual(opened);
    const many = await Promise.all(Array.from({ length: 8 }, () => app.post(`${SERVICES}/init`, { userId: 'init-user' })));
    for (const { status, body } of many) {
      expect(status).toBe(200);
      expect(body).toEqual(opened);
    }
    expect(await typesOf('init-user')).toEqual(['AccountOpened', 'CreditsGranted']);
  });

  it('gives the signup grant to an account that an inflow has opened', async () => {
    const app = service.app();
    const end = inHours(24);
    await giveCredits(app, 'init-late', 5, { expiresAt: end });
    const { body } = await app.post(`${SERVICES}/init`, { userId: 'init-late' });
    expect(body).toEqual({
      ...NOTHING,
      userId: 'init-late',
      balance: 30,
      totalEarned: 30,
      revision: 2,
      expiring: [{ amount: 5, at: end }],
    });
  });

  it('gives nothing where no signup grant is configured', async () => {
    const plain = await startService({ databaseUrl: database.url });
    try {
      const { status, body } = await plain.app().post(`${SERVICES}/init`, { userId: 'init-plain' });
      expect(status).toBe(200);
      expect(body).toEqual({ ...NOTHING, userId: 'init-plain', revision: 0 });
    } finally {
      await plain.close();
    }
  });
});

describe('POST /internal/credits/validate', () => {
  it('says whether an amount is there, and writes nothing', async () => {
    const app = service.app();
    const given = await giveCredits(app, 'validate-user', 5);
    granted(await readOwn(app, `${SERVICES}/balance/validate-user`, seen(given)));
    const enough = await app.post(`${SERVICES}/validate`, { userId: 'validate-user', amount: 5 });
    expect(enough.status).toBe(200);
    expect(enough.body).toEqual({ hasCredits: true, availableCredits: 5, requiredCredits: 5 });
    const short = await app.post(`${SERVICES}/validate`, { userId: 'validate-user', amount: 20 });
    expect(short.status).toBe(200);
    expect(short.body).toEqual({
      hasCredits: false,
      availableCredits: 5,
      requiredCredits: 20,
      message: 'Insufficient credits. Required: 20, Available: 5',
    });
    expect(await typesOf('validate-user')).toEqual(['AccountOpened', 'CreditsGranted']);
  });

  it('writes tiny amounts as people do', async () => {
    const { body } = await service.app().post(`${SERVICES}/validate`, { userId: 'validate-nobody', amount: 0.000001 });
    expect(body).toEqual({
      hasCredits: false,
      availableCredits: 0,
      requiredCredits: 0.000001,
      message: 'Insufficient credits. Required: 0.000001, Available: 0',
    });
    const app = service.app();
    const given = await giveCredits(app, 'validate-tiny', 0.000002);
    granted(await readOwn(app, `${SERVICES}/balance/validate-tiny`, seen(given)));
    expect((await app.post(`${SERVICES}/validate`, { userId: 'validate-tiny', amount: 1 })).body).toMatchObject({
      message: 'Insufficient credits. Required: 1, Available: 0.000002',
    });
  });
});

function inHours(hours: number): string {
  return new Date(Date.now() + hours * 3_600_000).toISOString();
}

async function typesOf(userId: string): Promise<readonly string[]> {
  return (await eventsOf(service.context.store, `account-${userId}`)).map(({ type }) => type);
}
