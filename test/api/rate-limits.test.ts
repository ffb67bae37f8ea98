import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../../src/config.ts';
import type { Answer, ApiClient } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';
import { makeKey } from './keyed.ts';

const LIMITS = { RATE_LIMIT_USER: '3', RATE_LIMIT_SERVICE: '4', RATE_LIMIT_ADDRESS: '2' };

let database: TestDatabase;
let service: Service;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url, env: LIMITS });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

afterEach(() => vi.restoreAllMocks());

const asUser = (client: ApiClient): Promise<Answer> => client.get('/api/v1/credits/balance');
const asService = (client: ApiClient): Promise<Answer> => client.get('/api/v1/internal/credits/balance/ada');
const asAnybody = (client: ApiClient, forwarded?: string): Promise<Answer> =>
  client.get('/docs/json', forwarded === undefined ? {} : { 'x-forwarded-for': forwarded });

/** The statuses of calls one after the other. */
async function statusesOf(count: number, call: () => Promise<Answer>): Promise<readonly number[]> {
  const statuses: number[] = [];
  for (let done = 0; done < count; done += 1) statuses.push((await call()).status);
  return statuses;
}

function expectLimited({ status, headers, body }: Answer, limit: number): void {
  expect(body).toEqual({
    statusCode: 429,
    error: 'rate_limited',
    message: `More than ${limit} requests in a minute`,
    requestId: headers.get('x-correlation-id'),
  });
  expect(status).toBe(429);
  const retryAfter = Number(headers.get('retry-after'));
  expect(Number.isSafeInteger(retryAfter)).toBe(true);
  expect(retryAfter).toBeGreaterThanOrEqual(1);
  expect(retryAfter).toBeLessThanOrEqual(60);
}

describe('who calls too often', () => {
  it('is told so and when to come back, while other users are served', async () => {
    const [ada, bob] = [await service.user('ada'), await service.user('bob')];
    expect(await statusesOf(3, () => asUser(ada))).toEqual([200, 200, 200]);
    expectLimited(await asUser(ada), 3);
    expect((await asUser(bob)).status).toBe(200);
    // Every route counts.
    expectLimited(await ada.post('/api/v1/credits/use', { amount: 1 }), 3);
    const real = Date.now;
    vi.spyOn(Date, 'now').mockImplementation(() => real() + 61_000);
    expect((await asUser(ada)).status).toBe(200);
  });

  it('is a key, whichever of its apps it acts for', async () => {
    const several = await makeKey(database, { name: 'several', apps: ['chat', 'picture'], scopes: ['credits:read'] });
    const other = await makeKey(database, { name: 'other', apps: ['chat'], scopes: ['credits:read'] });
    expect(await statusesOf(2, () => asService(several.as(service, 'chat')))).toEqual([200, 200]);
    expect(await statusesOf(2, () => asService(several.as(service, 'picture')))).toEqual([200, 200]);
    expectLimited(await asService(several.as(service, 'chat')), 4);
    expect((await asService(other.as(service))).status).toBe(200);
    expect(await statusesOf(5, () => asService(service.app()))).toEqual([200, 200, 200, 200, 429]);
  });

  it('is an address on public routes, whatever it says of itself', async () => {
    expect(await statusesOf(2, () => asAnybody(service.anonymous))).toEqual([200, 200]);
    expectLimited(await asAnybody(service.anonymous), 2);
    expectLimited(await asAnybody(service.anonymous, '203.0.113.9'), 2);
  });

  it('is nobody who looks whether the service lives', async () => {
    for (const path of ['/health', '/ready', '/metrics']) {
      const statuses = await statusesOf(5, () => service.anonymous.get(path));
      expect(statuses).not.toContain(429);
    }
  });

  it('is nobody whose key or token is none: they are told that', async () => {
    expect(await statusesOf(6, () => asService(service.anonymous))).toEqual([401, 401, 401, 401, 401, 401]);
  });
});

it('counts for whom a proxy asks that is believed', async () => {
  const behind = await startService({ databaseUrl: database.url, env: { ...LIMITS, TRUST_PROXY: '10.0.0.0/8, 127.0.0.1' } });
  try {
    const from = (address: string) => asAnybody(behind.anonymous, address);
    expect(await statusesOf(3, () => from('203.0.113.1'))).toEqual([200, 200, 429]);
    // What stands before the last address that nobody here believes was made up by whoever called from it.
    expect((await from('198.51.100.7, 203.0.113.1')).status).toBe(429);
    expect((await from('203.0.113.2')).status).toBe(200);
    // One household has many addresses of a network.
    expect(await statusesOf(2, () => from('2001:db8::1'))).toEqual([200, 200]);
    expect((await from('2001:db8::2')).status).toBe(429);
  } finally {
    await behind.close();
  }
});

it('limits nobody where it is off', async () => {
  const open = await startService({ databaseUrl: database.url, env: { ...LIMITS, RATE_LIMIT: 'off' } });
  try {
    const user = await open.user('ada');
    expect(await statusesOf(6, () => asUser(user))).toEqual([200, 200, 200, 200, 200, 200]);
    expect(await statusesOf(6, () => asService(open.app()))).toEqual([200, 200, 200, 200, 200, 200]);
    expect(await statusesOf(3, () => asAnybody(open.anonymous))).toEqual([200, 200, 200]);
  } finally {
    await open.close();
  }
});

describe('the settings', () => {
  const read = (env: NodeJS.ProcessEnv) => readConfig({ DATABASE_URL: 'postgres://localhost/mana', ...env });

  it('are generous where nothing is set', () => {
    expect(read({}).rateLimits).toEqual({ user: 6_000, service: 600_000, address: 300 });
    expect(read({ RATE_LIMIT: 'off', RATE_LIMIT_USER: '5' }).rateLimits).toBeUndefined();
    expect(read(LIMITS).rateLimits).toEqual({ user: 3, service: 4, address: 2 });
    expect(read({}).trustProxy).toEqual([]);
    expect(read({ TRUST_PROXY: '10.0.0.0/8, ::1' }).trustProxy).toEqual(['10.0.0.0/8', '::1']);
  });

  it.each([
    ['RATE_LIMIT', 'perhaps'],
    ['RATE_LIMIT_USER', '0'],
    ['RATE_LIMIT_SERVICE', '1.5'],
    ['RATE_LIMIT_ADDRESS', 'many'],
    ['TRUST_PROXY', 'proxy.example.com'],
    ['TRUST_PROXY', '10.0.0.0/8,1'],
  ])('refuse %s=%s', (name, value) => {
    expect(() => read({ [name]: value })).toThrow(name);
  });
});
