import { createHmac, createPublicKey, type JsonWebKey } from 'node:crypto';
import { generateKeyPair, SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, createApiClient, giveCredits } from '../support/api-client.ts';
import { ALGORITHMS, type AuthServer, startAuthServer } from '../support/auth-server.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { localToken, SERVICE_KEY, type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';

let database: TestDatabase;
let auth: AuthServer;
let service: Service;
let behindAuth: Service;

beforeAll(async () => {
  [database, auth] = await Promise.all([createTestDatabase(), startAuthServer()]);
  service = await startService({ databaseUrl: database.url });
  // An empty variable counts as one that isn't set: this one takes the auth service's tokens alone.
  behindAuth = await startService({ databaseUrl: database.url, env: { MANA_AUTH_URL: auth.url, JWT_SECRET: '' } });
});

afterAll(async () => {
  await behindAuth?.close();
  await service?.close();
  await auth?.close();
  await database?.close();
});

afterEach(() => vi.restoreAllMocks());

const withToken = (token: string, at = behindAuth) =>
  at.anonymous.get('/api/v1/credits/balance', { authorization: `Bearer ${token}` });

function expectUnauthorized({ status, body }: Answer): void {
  expect(body).toEqual({ statusCode: 401, error: 'unauthorized', message: expect.any(String), requestId: expect.any(String) });
  expect(status).toBe(401);
}

function expectAuthUnavailable({ status, headers, body }: Answer): void {
  expect(body).toEqual({
    statusCode: 503,
    error: 'auth_unavailable',
    message: expect.any(String),
    requestId: expect.any(String),
  });
  expect(status).toBe(503);
  expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
}

/** Lets time pass for what measures it, so that nobody has to wait. */
const elapsed = performance.now.bind(performance);
function passTime(milliseconds: number): void {
  vi.spyOn(performance, 'now').mockImplementation(() => elapsed() + milliseconds);
}

describe('services', () => {
  it.each([
    ['no key', {}],
    ['another key', { 'x-service-key': 'another-service-key-0123' }],
    ['an empty key', { 'x-service-key': '' }],
    ['the beginning of the key', { 'x-service-key': SERVICE_KEY.slice(0, -1) }],
    ['a key twice', { 'x-service-key': `${SERVICE_KEY}, ${SERVICE_KEY}` }],
  ])('are refused with %s', async (_, headers) => {
    const client = createApiClient(service.url, headers);
    expectUnauthorized(await client.get(`${SERVICES}/balance/u`));
    for (const route of ['init', 'validate', 'use', 'reserve', 'commit', 'refund-reservation', 'grant']) {
      expectUnauthorized(await client.post(`${SERVICES}/${route}`, {}));
    }
  });

  it('are refused with a user’s token, and users with a service key', async () => {
    expectUnauthorized(await (await service.user('u')).get(`${SERVICES}/balance/u`));
    expectUnauthorized(await service.app().get('/api/v1/credits/balance'));
  });

  it('are all refused where no key is set', async () => {
    const keyless = await startService({ databaseUrl: database.url, env: { MANA_SERVICE_KEY: '' } });
    try {
      for (const key of ['', 'undefined', SERVICE_KEY]) {
        expectUnauthorized(await keyless.anonymous.get(`${SERVICES}/balance/u`, { 'x-service-key': key }));
      }
    } finally {
      await keyless.close();
    }
  });

  it.each(['', 'has spaces', 'x'.repeat(65), 'a/b'])('may not call themselves %j', async (name) => {
    const { status, body } = await service.app(name).get(`${SERVICES}/balance/u`);
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: 'validation_failed', details: [{ path: 'X-App-Id' }] });
  });
});

describe('users of an auth service', () => {
  it.each(ALGORITHMS)('are known by a token signed with %s', async (algorithm) => {
    const { status, body } = await withToken(await auth.sign(algorithm, 'auth-user'));
    expect(status).toBe(200);
    expect(body).toMatchObject({ userId: 'auth-user' });
  });

  const now = () => Math.floor(Date.now() / 1_000);

  it.each([
    ['has run out', () => auth.sign('EdDSA', 'u', { claims: { exp: now() - 60 } })],
    ['never runs out', () => auth.sign('EdDSA', 'u', { claims: { exp: undefined as never } })],
    ['begins later', () => auth.sign('EdDSA', 'u', { claims: { nbf: now() + 600 } })],
    ['comes from another issuer', () => auth.sign('EdDSA', 'u', { claims: { iss: 'https://elsewhere.example' } })],
    ['names no issuer', () => auth.sign('EdDSA', 'u', { claims: { iss: undefined as never } })],
    ['is meant for another', () => auth.sign('EdDSA', 'u', { claims: { aud: 'another' } })],
    ['is meant for nobody', () => auth.sign('EdDSA', 'u', { claims: { aud: undefined as never } })],
    ['names no user', () => auth.sign('EdDSA', 'u', { claims: { sub: undefined as never } })],
    ['names an empty user', () => auth.sign('EdDSA', '')],
    ['names a user that none can be', () => auth.sign('EdDSA', 'a\0b')],
    ['names a key that nobody knows', () => auth.sign('EdDSA', 'u', { header: { kid: 'unknown' } })],
    ['names no key', () => auth.sign('EdDSA', 'u', { header: { kid: undefined as never } })],
    ['names another kind of key', () => auth.sign('RS256', 'u', { header: { kid: 'EdDSA-0' } })],
    ['was signed with another key', () => signedElsewhere('EdDSA-0')],
    ['is not signed', () => unsigned({ alg: 'none', typ: 'JWT', kid: 'EdDSA-0' })],
    ['is not signed, and names no key', () => unsigned({ alg: 'none', typ: 'JWT' })],
    ['was signed with the public key as a secret', () => signedWithPublicKey()],
    ['was signed with a secret', () => localToken('u')],
    ['was changed', async () => changed(await auth.sign('EdDSA', 'u'))],
    ['is none', async () => 'token'],
    ['is empty', async () => ''],
  ])('are refused where the token %s', async (_, make) => {
    expectUnauthorized(await withToken(await make()));
  });

  it.each(['Basic dXNlcjpwYXNz', 'Bearer', 'bearer-token'])('are refused with %s', async (authorization) => {
    expectUnauthorized(await behindAuth.anonymous.get('/api/v1/credits/balance', { authorization }));
  });

  it('are known by new keys after the auth service has changed its own, and by the old no more', async () => {
    const old = await auth.sign('ES256', 'rotated');
    await auth.rotate();
    passTime(60_000);
    expect((await withToken(await auth.sign('ES256', 'rotated'))).status).toBe(200);
    // A token that was never seen before: none that was is verified again.
    passTime(120_000);
    expectUnauthorized(await withToken(changed(old)));
  });

  it('are known while the auth service is away, and the process lives on', async () => {
    expect((await withToken(await auth.sign('RS256', 'before'))).status).toBe(200);
    await auth.goDown();
    try {
      passTime(3_600_000);
      expect((await withToken(await auth.sign('RS256', 'during'))).status).toBe(200);
      // The key may be one that the auth service has made meanwhile: nobody here can tell.
      expectAuthUnavailable(await withToken(await auth.sign('RS256', 'during', { header: { kid: 'made-up' } })));
      expect((await withToken(await auth.sign('EdDSA', 'during'))).status).toBe(200);
    } finally {
      await auth.comeBack();
    }
    passTime(7_200_000);
    expect((await withToken(await auth.sign('RS256', 'after'))).status).toBe(200);
    expectUnauthorized(await withToken(await auth.sign('RS256', 'after', { header: { kid: 'made-up' } })));
  });

  it('are known by a key that was withdrawn for ten minutes at the most, though their token was seen before', async () => {
    const token = await auth.sign('RS256', 'withdrawn');
    passTime(8_000_000);
    expect((await withToken(token)).status).toBe(200);
    await auth.rotate();
    passTime(8_000_000 + 590_000);
    expect((await withToken(token)).status).toBe(200);
    passTime(8_000_000 + 610_000);
    expectUnauthorized(await withToken(token));
  });

  it('do not make the auth service answer for every key that somebody makes up', async () => {
    passTime(10_000_000);
    // The first makes it ask, and waits for the answer.
    expectUnauthorized(await withToken(await auth.sign('EdDSA', 'u', { header: { kid: 'made-up' } })));
    const before = auth.asked();
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) =>
        expectUnauthorized(await withToken(await auth.sign('EdDSA', 'u', { header: { kid: `made-up-${index}` } }))),
      ),
    );
    expect(auth.asked()).toBe(before);
  });

  it('are known although it shows keys that nobody here can read', async () => {
    auth.show({ kid: 'of-the-future', kty: 'PQC', alg: 'ML-DSA-65' });
    auth.show({ kty: 'OKP', crv: 'Ed25519', x: 'no-kid' });
    await auth.rotate();
    passTime(20_000_000);
    expect((await withToken(await auth.sign('EdDSA', 'u'))).status).toBe(200);
  });
});

describe('users without an auth service', () => {
  it('are known by a token signed with the secret', async () => {
    expect((await withToken(await localToken('local-user'), service)).body).toMatchObject({ userId: 'local-user' });
  });

  it('are refused with a token of an auth service', async () => {
    expectUnauthorized(await withToken(await auth.sign('EdDSA', 'u'), service));
  });
});

describe('users of a setup with an auth service and a secret', () => {
  let both: Service;

  beforeAll(async () => {
    both = await startService({ databaseUrl: database.url, env: { MANA_AUTH_URL: auth.url } });
  });

  afterAll(() => both?.close());

  it.each([
    ['the secret, in our own name', 200, () => localToken('u')],
    ['the secret, in the name of the auth service', 401, () => localToken('u', auth.url)],
    ['a key of the auth service, in its name', 200, () => auth.sign('EdDSA', 'u')],
    ['a key of the auth service, in our name', 401, () => auth.sign('EdDSA', 'u', { claims: { iss: 'mana-credits' } })],
  ])('whose token was signed with %s, get %i', async (_, expected, make) => {
    expect((await withToken(await make(), both)).status).toBe(expected);
  });
});

it('lets each user see their own alone', async () => {
  await giveCredits(service.app(), 'owner', 10);
  const { body } = await (await service.user('stranger')).get('/api/v1/credits/balance');
  expect(body).toMatchObject({ userId: 'stranger', balance: 0 });
});

it('writes no key and no token to its log', async () => {
  const token = await localToken('logged-user');
  const loud = await startService({ databaseUrl: database.url, env: { LOG_LEVEL: 'trace' } });
  try {
    await loud.app().post(`${SERVICES}/use`, { userId: 'u', amount: -1 });
    await withToken(token, loud);
    await withToken(`${token}x`, loud);
    await loud.anonymous.get(`${SERVICES}/balance/u`, { 'x-service-key': `${SERVICE_KEY}x` });
  } finally {
    await loud.close();
  }
  const logged = [...loud.logged, ...service.logged, ...behindAuth.logged].join('\n');
  expect(loud.logged.length).toBeGreaterThan(4);
  expect(logged).not.toContain(SERVICE_KEY);
  expect(logged).not.toContain(token.slice(-20));
  expect(logged).not.toContain('test-jwt-secret');
  expect(logged).not.toMatch(/bearer /i);
});

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function goodClaims(): object {
  return { sub: 'u', iss: auth.url, aud: 'mana', exp: Math.floor(Date.now() / 1_000) + 600 };
}

async function unsigned(header: object): Promise<string> {
  return `${encoded(header)}.${encoded(goodClaims())}.`;
}

async function signedElsewhere(kid: string): Promise<string> {
  const { privateKey } = await generateKeyPair('EdDSA');
  return new SignJWT({ ...goodClaims() }).setProtectedHeader({ alg: 'EdDSA', kid }).sign(privateKey);
}

/** The classic confusion: a verifier that takes the public key for a shared secret. */
async function signedWithPublicKey(): Promise<string> {
  const shown = auth.keys.find(({ alg }) => alg === 'RS256');
  const pem = createPublicKey({ key: shown as JsonWebKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
  const text = `${encoded({ alg: 'HS256', typ: 'JWT', kid: shown?.kid })}.${encoded(goodClaims())}`;
  return `${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
}

function changed(token: string): string {
  const [header, claims = '', signature] = token.split('.');
  const parsed = JSON.parse(Buffer.from(claims, 'base64url').toString('utf8')) as object;
  return [header, encoded({ ...parsed, sub: 'somebody-else' }), signature].join('.');
}
