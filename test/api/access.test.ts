import { type FastifyInstance, fastify } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Access, needScope, ROLES } from '../../src/api/access.ts';
import { registerAuth } from '../../src/api/auth.ts';
import { replyWithError } from '../../src/api/errors.ts';
import { JWT_SECRET, localToken, SERVICE_KEY } from '../support/service.ts';

/* Who may call a route by what the route says of that, on routes of the test's own. */

const ROUTES: Readonly<Record<string, Access>> = {
  '/public': { kind: 'public' },
  '/user': { kind: 'user' },
  '/service': { kind: 'service', scope: 'credits:read' },
  '/either': { kind: 'either', roles: ['support', 'admin'], scope: 'credits:read' },
};

let app: FastifyInstance;

beforeAll(async () => {
  app = fastify();
  app.setErrorHandler(replyWithError);
  await registerAuth(app, {
    serviceKey: SERVICE_KEY,
    serviceKeys: { find: async () => undefined, noteUse: async () => undefined },
    clock: { now: () => 0 },
    jwtSecret: JWT_SECRET,
    authUrl: undefined,
  });
  for (const [url, access] of Object.entries(ROUTES)) app.get(url, { config: { access } }, ({ caller }) => ({ caller }));
  app.get('/forgotten', () => 'secret');
  app.get('/further', { config: { access: { kind: 'either', roles: ['admin'], scope: 'credits:read' } } }, (request) => {
    needScope(request, 'credits:refund-unlinked');
    return {};
  });
});

afterAll(() => app?.close());

type Sent = { readonly key?: string; readonly token?: string };

async function call(url: string, { key, token }: Sent = {}): Promise<{ status: number; body: unknown }> {
  const headers = {
    ...(key === undefined ? {} : { 'x-service-key': key }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  const { statusCode, body } = await app.inject({ url, headers });
  return { status: statusCode, body: JSON.parse(body) as unknown };
}

const tokenOf = (role: unknown) => localToken('ada', undefined, { role });

const ada = { name: 'user:ada', actor: { kind: 'user', user: 'ada' } };
const service = { name: 'app:default', actor: { kind: 'service', app: 'default', key: 'MANA_SERVICE_KEY' }, role: null };

describe('a route for a user of some roles or a service with a scope', () => {
  it.each(ROLES)('lets in a user by their role, and names the roles to others: %s', async (role) => {
    const { status, body } = await call('/either', { token: await tokenOf(role) });
    if (role === 'support' || role === 'admin')
      expect({ status, body }).toMatchObject({ status: 200, body: { caller: { ...ada, role } } });
    else {
      expect({ status, body }).toMatchObject({
        status: 403,
        body: {
          error: 'forbidden',
          message: 'The user lacks the role support or admin',
          details: { roles: ['support', 'admin'] },
        },
      });
    }
  });

  it('lets in a service, and lets its key decide where there is a token besides', async () => {
    expect(await call('/either', { key: SERVICE_KEY })).toMatchObject({ status: 200, body: { caller: service } });
    const token = await tokenOf('user');
    expect(await call('/either', { key: SERVICE_KEY, token })).toMatchObject({ status: 200, body: { caller: service } });
    expect(await call('/either', { key: 'wrong', token: await tokenOf('admin') })).toMatchObject({ status: 401 });
  });

  it('lets nobody in who is neither', async () => {
    expect(await call('/either')).toMatchObject({ status: 401, body: { error: 'unauthorized' } });
    expect(await call('/either', { token: 'none' })).toMatchObject({ status: 401 });
  });
});

it.each(['root', 'Admin', '', null, 7, ['admin'], { admin: true }, undefined])(
  'takes the role %j for that of a plain user',
  async (role) => {
    const token = await tokenOf(role);
    expect(await call('/user', { token })).toMatchObject({ status: 200, body: { caller: { ...ada, role: 'user' } } });
    expect(await call('/either', { token })).toMatchObject({ status: 403 });
  },
);

it('keeps users and services to their own routes', async () => {
  const token = await tokenOf('admin');
  expect(await call('/user', { key: SERVICE_KEY })).toMatchObject({ status: 401 });
  expect(await call('/service', { token })).toMatchObject({ status: 401 });
  expect(await call('/service', { key: SERVICE_KEY })).toMatchObject({ status: 200, body: { caller: service } });
});

it('asks nobody on a public route, and knows nobody there', async () => {
  expect(await call('/public', { key: 'wrong', token: 'wrong' })).toEqual({ status: 200, body: { caller: null } });
});

it('lets nobody call a route that forgot to say who may', async () => {
  for (const sent of [{}, { key: SERVICE_KEY }, { token: await tokenOf('admin') }]) {
    expect(await call('/forgotten', sent)).toMatchObject({ status: 403, body: { error: 'forbidden' } });
  }
});

it('lets a route ask for a further scope, which no user has', async () => {
  expect(await call('/further', { key: SERVICE_KEY })).toMatchObject({ status: 200 });
  expect(await call('/further', { token: await tokenOf('admin') })).toMatchObject({
    status: 403,
    body: { details: { scope: 'credits:refund-unlinked' } },
  });
});
