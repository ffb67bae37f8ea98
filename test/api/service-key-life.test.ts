import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { revokeKeys, rotateKey } from '../../src/operational/service-keys.ts';
import type { Answer, ApiClient } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';
import { keyed, makeKey, passingTime } from './keyed.ts';

/* How a service key is rotated and revoked, and when it was last used. */

const READ = ['credits:read'];

let database: TestDatabase;
let service: Service;
let passTime: (milliseconds: number) => void;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

beforeEach(() => {
  passTime = passingTime();
});

afterEach(() => vi.restoreAllMocks());

const balance = (client: ApiClient): Promise<Answer> => client.get('/api/v1/internal/credits/balance/ada');

function expectUnknown({ status, body }: Answer): void {
  expect(body).toMatchObject({ statusCode: 401, error: 'unauthorized', message: 'A valid X-Service-Key is needed' });
  expect(status).toBe(401);
}

describe('rotation', () => {
  it('leaves the old key good until its end, and no longer', async () => {
    const old = await makeKey(database, { name: 'rotating', scopes: READ });
    expect((await balance(old.as(service))).status).toBe(200);
    const rotated = await rotateKey(database.superuser, 'rotating', null);
    const made = keyed(rotated?.text ?? '');
    passTime(30_001);
    for (const key of [old, made]) expect((await balance(key.as(service))).status).toBe(200);
    // By the database's clock, to the millisecond, though the key was read a moment ago.
    const now = vi.spyOn(service.context.clock, 'now');
    now.mockReturnValue((rotated?.endsAt.getTime() ?? 0) - 1);
    expect((await balance(old.as(service))).status).toBe(200);
    now.mockReturnValue(rotated?.endsAt.getTime() ?? 0);
    expectUnknown(await balance(old.as(service)));
    expect((await balance(made.as(service))).status).toBe(200);
  });

  it('is followed by a second one, which ends what was in force alone', async () => {
    const first = await makeKey(database, { name: 'twice', scopes: READ });
    const second = keyed((await rotateKey(database.superuser, 'twice', new Date('2099-01-01')))?.text ?? '');
    const third = keyed((await rotateKey(database.superuser, 'twice', new Date('2020-01-01')))?.text ?? '');
    expect((await balance(first.as(service))).status).toBe(200);
    expectUnknown(await balance(second.as(service)));
    expect((await balance(third.as(service))).status).toBe(200);
  });
});

describe('revocation', () => {
  it.each(['revoked', 'revoked-by-id'])('is known to every process after 30 seconds at the most (%s)', async (name) => {
    const key = await makeKey(database, { name, scopes: READ });
    const find = vi.spyOn(service.context.serviceKeys, 'find');
    await Promise.all(Array.from({ length: 20 }, async () => expect((await balance(key.as(service))).status).toBe(200)));
    // Who asks at once waits for the one reading.
    expect(find).toHaveBeenCalledTimes(1);
    expect(await revokeKeys(database.superuser, name === 'revoked' ? name : key.id)).toBe(1);
    passTime(29_000);
    expect((await balance(key.as(service))).status).toBe(200);
    expect(find).toHaveBeenCalledTimes(1);
    passTime(1_001);
    expectUnknown(await balance(key.as(service)));
    expect(find).toHaveBeenCalledTimes(2);
  });
});

describe('last use', () => {
  const usedAt = async (id: string): Promise<Date | null> => {
    const { rows } = await database.superuser.query<{ at: Date | null }>(
      'select last_used_at as at from operational.service_keys where id = $1',
      [id],
    );
    return rows[0]?.at ?? null;
  };
  const setUsedAt = (id: string, at: string) =>
    database.superuser.query('update operational.service_keys set last_used_at = $2 where id = $1', [id, at]);

  it('is written down behind the request, once a minute at the most', async () => {
    const key = await makeKey(database, { name: 'used', scopes: READ });
    expect(await usedAt(key.id)).toBeNull();
    const noteUse = vi.spyOn(service.context.serviceKeys, 'noteUse');
    for (let count = 0; count < 5; count += 1) await balance(key.as(service));
    expect(noteUse.mock.calls).toEqual([[key.id]]);
    await Promise.all(noteUse.mock.results.map(({ value }) => value as Promise<void>));
    const first = await usedAt(key.id);
    expect(Math.abs((first?.getTime() ?? 0) - service.context.clock.now())).toBeLessThan(5_000);
    passTime(59_000);
    await balance(key.as(service));
    expect(noteUse).toHaveBeenCalledTimes(1);
    await setUsedAt(key.id, '2020-01-01');
    passTime(1_001);
    await balance(key.as(service));
    expect(noteUse).toHaveBeenCalledTimes(2);
    await Promise.all(noteUse.mock.results.map(({ value }) => value as Promise<void>));
    expect((await usedAt(key.id))?.getFullYear()).toBeGreaterThan(2020);
  });

  it('is written down once a minute by however many processes', async () => {
    const { id } = await makeKey(database, { name: 'used-by-many', scopes: READ });
    const { serviceKeys } = service.context;
    await serviceKeys.noteUse(id);
    const first = await usedAt(id);
    await serviceKeys.noteUse(id);
    expect(await usedAt(id)).toEqual(first);
    await database.superuser.query(
      `update operational.service_keys set last_used_at = last_used_at - interval '1 minute' where id = $1`,
      [id],
    );
    await serviceKeys.noteUse(id);
    expect((await usedAt(id))?.getTime()).toBeGreaterThanOrEqual(first?.getTime() ?? Number.POSITIVE_INFINITY);
  });

  it('is none where the secret was wrong', async () => {
    const { id } = await makeKey(database, { name: 'unused', scopes: READ });
    const noteUse = vi.spyOn(service.context.serviceKeys, 'noteUse');
    expectUnknown(await balance(keyed(`mk_${id}_${'s'.repeat(43)}`).as(service)));
    expect(noteUse).not.toHaveBeenCalled();
  });

  it('refuses nobody where it can not be written down', async () => {
    const key = await makeKey(database, { name: 'unnoted', scopes: READ });
    const noteUse = vi.spyOn(service.context.serviceKeys, 'noteUse').mockRejectedValue(new Error('gone'));
    expect((await balance(key.as(service))).status).toBe(200);
    expect((await balance(key.as(service))).status).toBe(200);
    expect(noteUse).toHaveBeenCalledTimes(1);
  });
});
