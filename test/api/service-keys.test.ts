import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { rotateKey } from '../../src/operational/service-keys.ts';
import { type Answer, type ApiClient, giveCredits, granted, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventsOf } from '../support/log-of.ts';
import { SERVICE_KEY, type Service, startService } from '../support/service.ts';
import { allowConnections, refuseConnections } from './connections.ts';
import { keyed, makeKey, passingTime } from './keyed.ts';

const SERVICES = '/api/v1/internal/credits';
const READ = ['credits:read'];
const WRITE = ['credits:read', 'credits:write'];

let database: TestDatabase;
let service: Service;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url });
  await giveCredits(service.app(), 'ada', 1_000);
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

afterEach(() => vi.restoreAllMocks());

const balance = (client: ApiClient): Promise<Answer> => client.get(`${SERVICES}/balance/ada`);
const use = (client: ApiClient, more: object = {}): Promise<Answer> =>
  client.post(`${SERVICES}/use`, { userId: 'ada', amount: 1, ...more });

function expectRefused({ status, body }: Answer, statusCode: number, error: string, message: RegExp): void {
  expect(body).toMatchObject({ statusCode, error, message: expect.stringMatching(message) });
  expect(status).toBe(statusCode);
}
const expectUnknown = (answer: Answer): void => expectRefused(answer, 401, 'unauthorized', /^A valid X-Service-Key is needed$/);

let passTime: (milliseconds: number) => void;
beforeEach(() => {
  passTime = passingTime();
});

/** What the last event of the account says of who acted, as it is stored. */
async function lastActor(): Promise<string> {
  const last = (await eventsOf(service.context.store, 'account-ada')).at(-1);
  return JSON.stringify((JSON.parse(last?.metadata ?? '{}') as { actor: unknown }).actor);
}

describe('scopes', () => {
  it('let a key do what they name, and nothing else', async () => {
    const reader = (await makeKey(database, { name: 'reader', scopes: READ })).as(service);
    expect((await balance(reader)).status).toBe(200);
    const refused = await use(reader);
    expectRefused(refused, 403, 'forbidden', /^The service key lacks the scope credits:write$/);
    expect(refused.body).toMatchObject({ details: { scope: 'credits:write' } });
    const writer = (await makeKey(database, { name: 'writer', scopes: ['credits:write'] })).as(service);
    expect((await use(writer)).status).toBe(200);
    expectRefused(await balance(writer), 403, 'forbidden', /credits:read/);
    expectRefused(await giveCredits(writer, 'ada', 1).catch(asAnswer), 403, 'forbidden', /credits:grant/);
  });

  it('that only a later version knows are none', async () => {
    const later = (await makeKey(database, { name: 'later', scopes: ['credits:print', 'credits:read'] })).as(service);
    expect((await balance(later)).status).toBe(200);
    expectRefused(await use(later), 403, 'forbidden', /credits:write/);
  });

  it('are all given to the key of old', async () => {
    expect((await use(service.app())).status).toBe(200);
    expect(await lastActor()).toBe('{"app":"default","key":"MANA_SERVICE_KEY","kind":"service"}');
    expect((await use(service.app('any'))).status).toBe(200);
    expect(await lastActor()).toBe('{"app":"any","key":"MANA_SERVICE_KEY","kind":"service"}');
  });
});

describe('the app of a key', () => {
  it('is its one app, named or not, and no other', async () => {
    const one = await makeKey(database, { name: 'one-app', apps: ['chat'], scopes: WRITE });
    expect((await use(one.as(service))).status).toBe(200);
    expect(await lastActor()).toBe('{"app":"chat","key":"one-app","kind":"service"}');
    expect((await use(one.as(service, 'chat'), { appId: 'picture' })).status).toBe(200);
    // A body's appId is a label.
    expect(await lastActor()).toBe('{"app":"chat","key":"one-app","kind":"service"}');
    for (const other of ['picture', 'Chat', 'default', '', 'a b']) {
      expectRefused(await use(one.as(service, other)), 403, 'forbidden', /^The service key may act for chat alone$/);
    }
  });

  it('is one of several, and has to be named', async () => {
    const several = await makeKey(database, { name: 'several', apps: ['chat', 'picture'], scopes: WRITE });
    for (const app of ['chat', 'picture']) {
      expect((await use(several.as(service, app))).status).toBe(200);
      expect(await lastActor()).toBe(`{"app":"${app}","key":"several","kind":"service"}`);
    }
    expectRefused(await use(several.as(service, 'default')), 403, 'forbidden', /may act for chat, picture alone/);
    const { status, body } = await use(several.as(service));
    expect({ status, body }).toMatchObject({
      status: 400,
      body: { error: 'validation_failed', details: [{ path: 'X-App-Id', message: 'must be one of chat, picture' }] },
    });
  });

  it('alone settles its holds, with whichever of its keys', async () => {
    const first = await makeKey(database, { name: 'first', apps: ['holder'], scopes: WRITE });
    const second = await makeKey(database, { name: 'second', apps: ['holder'], scopes: WRITE });
    const other = await makeKey(database, { name: 'other-app', scopes: WRITE });
    const reservationId = await holdCredits(first.as(service), 'ada', 2);
    expectRefused(await other.as(service).post(`${SERVICES}/commit`, { reservationId }), 403, 'forbidden', /another app/);
    expect((await second.as(service).post(`${SERVICES}/commit`, { reservationId })).status).toBe(200);
  });

  it('is whose idempotency keys count: a rotated key gives the first answer again', async () => {
    const old = await makeKey(database, { name: 'repeating', scopes: WRITE });
    const first = granted(await use(old.as(service), { idempotencyKey: 'again' }));
    const rotated = await rotateKey(database.superuser, 'repeating', null);
    const repeated = granted(await use(keyed(rotated?.text ?? '').as(service), { idempotencyKey: 'again' }));
    expect(repeated.headers.get('idempotency-replayed')).toBe('true');
    expect(repeated.body).toEqual(first.body);
  });
});

describe('a key that is none', () => {
  it('opens nothing, however much of it is right', async () => {
    const { text, id } = await makeKey(database, { name: 'guessed', scopes: READ });
    const another = await makeKey(database, { name: 'another', scopes: READ });
    const secret = text.slice(-43);
    expect((await balance(keyed(text).as(service))).status).toBe(200);
    for (const wrong of [
      `mk_${id}_${another.text.slice(-43)}`,
      `mk_${another.id}_${secret}`,
      `mk_${'0'.repeat(16)}_${secret}`,
      `mk_${id}_${secret.slice(0, -1)}`,
      `mk_${id}_${secret}x`,
      `mk_${id}_`,
      `mk_${id.toUpperCase()}_${secret}`,
      text.toUpperCase(),
      secret,
      id,
      'mk__',
      `${text}, ${text}`,
    ]) {
      expectUnknown(await balance(keyed(wrong).as(service)));
    }
  });

  it('is refused at once where too many are made up, and takes no connection from commands', async () => {
    const madeUp = Array.from({ length: 124 }, (_, index) =>
      keyed(`mk_${index.toString(16).padStart(16, 'f')}_${'s'.repeat(43)}`),
    );
    const known = (await makeKey(database, { name: 'known', scopes: WRITE })).as(service);
    expect((await balance(known)).status).toBe(200);
    const statuses: number[] = [];
    await database.superuser.query('begin; lock table operational.service_keys in access exclusive mode');
    let answered: Promise<unknown>;
    try {
      answered = Promise.all(madeUp.map(async (one) => statuses.push((await balance(one.as(service))).status)));
      // All that are too many are told so at once, while the others wait.
      await vi.waitFor(() => expect(statuses).toEqual(Array.from({ length: 24 }, () => 503)), { timeout: 4_000, interval: 20 });
      // Who was let in a moment ago still is, and is answered.
      expect((await use(known)).status).toBe(200);
    } finally {
      await database.superuser.query('rollback');
    }
    await answered;
    expect(statuses.slice(24)).toEqual(Array.from({ length: 100 }, () => 401));
  });

  it('is looked for once in a while', async () => {
    const find = vi.spyOn(service.context.serviceKeys, 'find');
    const nobody = keyed(`mk_${'a'.repeat(16)}_${'s'.repeat(43)}`).as(service);
    for (let count = 0; count < 3; count += 1) expectUnknown(await balance(nobody));
    expect(find).toHaveBeenCalledTimes(1);
  });
});

describe('while the database is gone', () => {
  it('lets in whom it has read within 30 seconds, and nobody else', async () => {
    const fresh = await makeKey(database, { name: 'fresh', scopes: READ });
    const unread = await makeKey(database, { name: 'unread', scopes: READ });
    expect((await balance(fresh.as(service))).status).toBe(200);
    await refuseConnections(database);
    try {
      // What the scope forbids is refused without the database, so this tells who was recognised.
      expectRefused(await use(fresh.as(service)), 403, 'forbidden', /credits:write/);
      const refused = await use(unread.as(service));
      expectRefused(refused, 503, 'store_unavailable', /./);
      expect(refused.headers.get('retry-after')).toBe('2');
      passTime(30_001);
      expectRefused(await use(fresh.as(service)), 503, 'store_unavailable', /./);
      // The key of old stands in the environment.
      expectRefused(await service.app('a b').get(`${SERVICES}/balance/ada`), 400, 'validation_failed', /X-App-Id/);
    } finally {
      await allowConnections(database);
    }
    await vi.waitFor(async () => expect((await balance(unread.as(service))).status).toBe(200), {
      timeout: 15_000,
      interval: 100,
    });
    expect((await balance(fresh.as(service))).status).toBe(200);
  });
});

it('writes no key to the log', async () => {
  const key = await makeKey(database, { name: 'logged', scopes: READ });
  const loud = await startService({ databaseUrl: database.url, env: { LOG_LEVEL: 'trace' } });
  try {
    expect((await balance(key.as(loud))).status).toBe(200);
    expectRefused(await use(key.as(loud)), 403, 'forbidden', /credits:write/);
    expectUnknown(await balance(keyed(`${key.text.slice(0, -1)}~`).as(loud)));
  } finally {
    await loud.close();
  }
  expect(loud.logged.length).toBeGreaterThan(3);
  const logged = [...loud.logged, ...service.logged].join('\n');
  expect(logged).not.toContain(key.text.slice(-43, -1));
  expect(logged).not.toContain(SERVICE_KEY);
});

/** An answer that a helper took for a failure. */
function asAnswer(error: unknown): Answer {
  const [, status, body] = /200 expected: (\d+) (.*)$/.exec((error as Error).message) ?? [];
  return { status: Number(status), headers: new Headers(), body: JSON.parse(body ?? 'null') as unknown };
}
