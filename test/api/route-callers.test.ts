import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Role, type Scope, SCOPES } from '../../src/api/access.ts';
import { type Answer, type ApiClient, giveCredits, readOwn, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';
import { OWNER, type Row, ROWS } from './callers-table.ts';
import { makeKey } from './keyed.ts';

/* Tries every route of the service by every caller there is, against callers-table.ts. */

/** Who calls: nobody, a user of a role, or a service with some scopes. */
type Caller = { readonly name: string; readonly client: ApiClient; readonly role?: Role; readonly scopes?: readonly Scope[] };

const registered = new Set<string>();
let database: TestDatabase;
let running: Service;
let callers: readonly Caller[];

beforeAll(async () => {
  database = await createTestDatabase();
  subscribe('fastify.initialization', collectRoutes);
  running = await startService({ databaseUrl: database.url, workers: true, env: { RATE_LIMIT: 'off' } });
  unsubscribe('fastify.initialization', collectRoutes);
  callers = await makeCallers();
  // What others must not see is there to be seen.
  const given = await giveCredits(running.app(), OWNER, 10, { description: `for ${OWNER}` });
  const seen = await readOwn(await running.user(OWNER), '/api/v1/credits/transactions', { 'x-min-revision': tokenOf(given) });
  expect(JSON.stringify(seen.body)).toContain(OWNER);
});

afterAll(async () => {
  await running?.close();
  await database?.close();
});

/** Fastify tells who listens of each instance as it is made. */
function collectRoutes(message: unknown): void {
  const { fastify } = message as { fastify: FastifyInstance };
  fastify.addHook('onRoute', ({ method, url }: RouteOptions) => {
    // The pages of the documentation are a library's: one of them stands for all. HEAD comes with every GET.
    const shown = url.startsWith('/docs') ? '/docs/json' : url;
    for (const one of [method].flat()) registered.add(`${one === 'HEAD' ? 'GET' : one} ${shown}`);
  });
}

async function makeCallers(): Promise<readonly Caller[]> {
  const users: readonly (readonly [name: string, sub: string, role: Role])[] = [
    ['user', OWNER, 'user'],
    ['another user', 'mallory', 'user'],
    ['support', 'sue', 'support'],
    ['finance', 'fred', 'finance'],
    ['admin', 'alan', 'admin'],
  ];
  const keys: Caller[] = [];
  for (const scope of SCOPES) {
    const key = await makeKey(database, { name: scope.replace(':', '-'), apps: ['table'], scopes: [scope] });
    keys.push({ name: scope, client: key.as(running), scopes: [scope] });
  }
  return [
    { name: 'nobody', client: running.anonymous },
    ...(await Promise.all(users.map(async ([name, sub, role]) => ({ name, client: await running.user(sub, role), role })))),
    ...keys,
    { name: 'the key of old', client: running.app(), scopes: SCOPES },
  ];
}

type Expected = { readonly status: number; readonly details?: object };

/** What a caller gets. Who comes with what no caller of the route comes with is not known there: 401. */
function expectedOf({ who, answers }: Row, { role, scopes }: Caller): Expected {
  if (who.public) return { status: answers };
  if (role !== undefined && who.roles !== undefined) {
    return who.roles.includes(role) ? { status: answers } : { status: 403, details: { roles: who.roles } };
  }
  if (scopes !== undefined && who.scopes !== undefined) {
    const scope = who.scopes.find((needed) => !scopes.includes(needed));
    return scope === undefined ? { status: answers } : { status: 403, details: { scope } };
  }
  return { status: 401 };
}

const ERRORS: Readonly<Record<number, string>> = { 401: 'unauthorized', 403: 'forbidden' };

async function call({ route, params = {}, body }: Row, client: ApiClient, head = false): Promise<Answer> {
  const [method = '', pattern = ''] = route.split(' ');
  const path = pattern.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  const text = body === undefined ? undefined : JSON.stringify(body);
  return client.send(head ? 'HEAD' : method, path, text, text === undefined ? {} : { 'content-type': 'application/json' });
}

it('names every route that is registered, and none besides', () => {
  expect([...registered].toSorted()).toEqual([...new Set(ROWS.map(({ route }) => route))].toSorted());
});

describe('is called', () => {
  it.each(ROWS.map((row, index) => [row.route, index, row] as const))('%s (row %i)', async (_, __, row) => {
    const found: object[] = [];
    const expected: object[] = [];
    for (const caller of callers) {
      const { status, details } = expectedOf(row, caller);
      const error = ERRORS[status];
      expected.push({ caller: caller.name, status, ...(error === undefined ? {} : { error, details }) });
      const answer = await call(row, caller.client);
      const said = answer.body as { error?: unknown; details?: unknown };
      found.push({
        caller: caller.name,
        status: answer.status,
        ...(error === undefined ? {} : { error: said.error, details: said.details }),
      });
      if (row.route.startsWith('GET ')) expect((await call(row, caller.client, true)).status).toBe(answer.status);
      // No user sees anything of another on a route for users, nor does who is let in nowhere.
      const isOwner = caller.name === 'user' || caller.scopes !== undefined;
      if (!isOwner) expect(JSON.stringify(answer.body)).not.toContain(OWNER);
    }
    expect(found).toEqual(expected);
  });
});
