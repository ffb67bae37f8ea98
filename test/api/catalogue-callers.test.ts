import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Scope } from '../../src/api/access.ts';
import { createKey } from '../../src/operational/service-keys.ts';
import { type Answer, type ApiClient, createApiClient } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';
import { getFrom, putTo, removeFrom } from './catalogue-calls.ts';

/* Who may keep the catalogue, route by route. */

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

/** Makes what the calls are about, whatever a call before has made of it. */
beforeEach(async () => {
  await putTo(service.app('shop'), '/operations/same/one', { cost: 3 });
  await putTo(service.app('shop'), '/packages/small', { name: 'Small', credits: 500, priceEuroCents: 499 });
});

describe('callers', () => {
  const calls: readonly (readonly [string, (client: ApiClient) => Promise<Answer>])[] = [
    ['GET operations', (client) => getFrom(client, '/operations')],
    ['GET an operation', (client) => getFrom(client, '/operations/same/one')],
    ['PUT an operation', (client) => putTo(client, '/operations/same/one', { cost: 9 })],
    ['DELETE an operation', (client) => removeFrom(client, '/operations/same/one')],
    ['GET packages', (client) => getFrom(client, '/packages')],
    ['GET a package', (client) => getFrom(client, '/packages/small')],
    ['PUT a package', (client) => putTo(client, '/packages/small', { name: 'x', credits: 1, priceEuroCents: 1 })],
    ['DELETE a package', (client) => removeFrom(client, '/packages/small')],
    ['GET a mode', (client) => getFrom(client, '/apps/picture/mode')],
    ['PUT a mode', (client) => putTo(client, '/apps/picture/mode', { mode: 'enforce' })],
  ];

  it.each(calls)('without a credential may not %s', async (_, call) => {
    expect((await call(service.anonymous)).status).toBe(401);
  });

  it.each(calls)('who are users, support or finance may not %s', async (_, call) => {
    for (const role of ['user', 'support', 'finance']) {
      expect(await call(await service.user('somebody', role))).toMatchObject({ status: 403, body: { error: 'forbidden' } });
    }
  });

  it.each(calls)('who are admins may %s', async (_, call) => {
    expect((await call(await service.user('somebody', 'admin'))).status).toBe(200);
  });

  it.each(calls)('who are services need a scope to %s', async (name, call) => {
    const keyFor = async (scope: Scope) => {
      const key = await createKey(database.superuser, { name: randomUUID(), apps: ['shop'], scopes: [scope] });
      if (key === undefined) throw new Error(`no key to ${name}`);
      return createApiClient(service.url, { 'x-service-key': key });
    };
    const refused = await call(await keyFor('credits:write'));
    expect(refused).toMatchObject({ status: 403, body: { error: 'forbidden', details: { scope: 'catalogue:write' } } });
    expect((await call(await keyFor('catalogue:write'))).status).toBe(200);
  });
});
