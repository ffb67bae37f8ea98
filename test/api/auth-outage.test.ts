import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import type { Answer } from '../support/api-client.ts';
import { type AuthServer, startAuthServer } from '../support/auth-server.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { localToken, type Service, startService } from '../support/service.ts';

/* An auth service that was never there: nobody is told that their token is bad who may well have a good one. */

let database: TestDatabase;
let auth: AuthServer;
const closing: (() => Promise<void>)[] = [];

beforeAll(async () => {
  [database, auth] = await Promise.all([createTestDatabase(), startAuthServer()]);
});

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

afterAll(async () => {
  await auth?.close();
  await database?.close();
});

async function serviceBehind(authUrl: string): Promise<Service> {
  const service = await startService({ databaseUrl: database.url, env: { MANA_AUTH_URL: authUrl } });
  closing.push(() => service.close());
  return service;
}

const withToken = ({ anonymous }: Service, token: string): Promise<Answer> =>
  anonymous.get('/api/v1/credits/balance', { authorization: `Bearer ${token}` });

function expectAuthUnavailable({ status, headers, body }: Answer): void {
  expect(body).toEqual({
    statusCode: 503,
    error: 'auth_unavailable',
    message: expect.any(String),
    requestId: headers.get('x-correlation-id'),
  });
  expect(status).toBe(503);
  expect(headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
}

it('is a 503 to who has a token that it may have signed, also between two attempts to ask it', async () => {
  await auth.goDown();
  closing.push(() => auth.comeBack());
  const service = await serviceBehind(auth.url);
  for (let times = 0; times < 3; times += 1) expectAuthUnavailable(await withToken(service, await auth.sign('EdDSA', 'u')));
  const answers = Array.from({ length: 10 }, async (_, index) => withToken(service, await auth.sign('RS256', `u${index}`)));
  for (const answer of await Promise.all(answers)) expectAuthUnavailable(answer);
});

it('says so in the log, with what went wrong', async () => {
  await auth.goDown();
  closing.push(() => auth.comeBack());
  const service = await serviceBehind(auth.url);
  expectAuthUnavailable(await withToken(service, await auth.sign('EdDSA', 'u')));
  expect(service.logged.join('\n')).toContain('ECONNREFUSED');
});

it('changes nothing for tokens that it can’t have signed', async () => {
  await auth.goDown();
  closing.push(() => auth.comeBack());
  const service = await serviceBehind(auth.url);
  expect((await withToken(service, await localToken('local'))).status).toBe(200);
  const bad = [
    await auth.sign('EdDSA', 'u', { header: { kid: undefined as never } }),
    await auth.sign('EdDSA', 'u', { claims: { iss: 'https://elsewhere.example' } }),
    await localToken('local', auth.url),
    'token',
  ];
  for (const token of bad)
    expect(await withToken(service, token)).toMatchObject({ status: 401, body: { error: 'unauthorized' } });
});

it('is no more of an answer where something else answers in its place', async () => {
  const elsewhere = `${auth.url}/elsewhere`;
  const service = await serviceBehind(elsewhere);
  expectAuthUnavailable(await withToken(service, await auth.sign('ES256', 'u', { claims: { iss: elsewhere } })));
});
