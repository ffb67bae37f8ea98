import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { START } from '../../src/events/store.ts';
import { expectAsFolded, readModelRows } from '../projections/projecting.ts';
import { type Answer, giveCredits, granted, holdCredits, readOwn, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase, type TestStore } from '../support/database.ts';
import { faultsOf, openLogOf } from '../support/log-of.ts';
import { type Service, startService } from '../support/service.ts';

/* Erasing a person through the API: their words are gone, and nothing else is. */

const SERVICES = '/api/v1/internal/credits';
const ERASE = '/api/v1/internal/privacy/erase';

let database: TestDatabase;
/** What a support desk's own process would have. */
let test: TestStore;
let service: Service;
let people = 0;
let userId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  test = await openLogOf(database.url);
  service = await startService({ databaseUrl: database.url, workers: true });
});

afterAll(async () => {
  await test?.close();
  await service?.close();
  await database?.close();
});

beforeEach(() => {
  people += 1;
  userId = `erased-${people}`;
});

const erase = (user = userId) => service.app('support').post(ERASE, { userId: user });

/** Grants, holds, commits, releases and uses, each with words. */
async function live(): Promise<{ readonly hold: string; readonly last: Answer }> {
  const app = service.app();
  await giveCredits(app, userId, 100, { description: 'welcome words' });
  const hold = await holdCredits(app, userId, 10, { reason: 'reserve words', metadata: { name: 'Ada' } });
  granted(await app.post(`${SERVICES}/commit`, { reservationId: hold, amount: 4, description: 'commit words' }));
  const dropped = await holdCredits(app, userId, 5, { description: 'dropped words' });
  granted(await app.post(`${SERVICES}/refund-reservation`, { reservationId: dropped, reason: 'release words' }));
  const last = granted(await app.post(`${SERVICES}/use`, use()));
  await history(last);
  return { hold, last };
}

const use = () => ({ userId, amount: 1, description: 'use words', metadata: { name: 'Ada' }, idempotencyKey: 'the-key' });

type Listed = { readonly description: string | null; readonly metadata: unknown };

async function history(last: Answer): Promise<readonly Listed[]> {
  const list = await readOwn(service.app(), `${SERVICES}/transactions/${userId}`, { 'x-min-revision': tokenOf(last) });
  return granted(list).body as readonly Listed[];
}

describe('POST /internal/privacy/erase', () => {
  it('leaves null where words stood, in every list', async () => {
    const { hold, last } = await live();
    expect((await history(last)).map(({ description }) => description)).toEqual([
      'use words',
      'release words',
      'dropped words',
      'commit words',
      'reserve words',
      'welcome words',
    ]);
    const before = await history(last);
    expect(await erase()).toMatchObject({ status: 200, body: { erased: 1 } });
    expect(await history(last)).toEqual(before.map((one) => ({ ...one, description: null, metadata: null })));
    const own = await (await service.user(userId)).get('/api/v1/credits/transactions');
    expect(own.body).toEqual(await history(last));
    const held = await service.app().get(`${SERVICES}/reservations/${hold}`);
    expect(held.body).toMatchObject({ status: 'consumed', creditsUsed: 4, reason: null, description: null, metadata: null });
  });

  it('touches no balance, no read model, no event, and none of others’ words', async () => {
    const { last } = await live();
    const other = { userId: `${userId}-other`, amount: 1, description: 'others’ words' };
    await giveCredits(service.app(), other.userId, 10);
    const theirs = granted(await service.app().post(`${SERVICES}/use`, other));
    await readOwn(service.app(), `${SERVICES}/balance/${other.userId}`, { 'x-min-revision': tokenOf(theirs) });
    const balance = await service.app().get(`${SERVICES}/balance/${userId}`);
    const [rows, events] = [await readModelRows(database.superuser), await logAndClaims()];
    expect((await erase()).body).toEqual({ erased: 1 });
    expect(await readModelRows(database.superuser)).toEqual(rows);
    expect(await logAndClaims()).toEqual(events);
    expect((await service.app().get(`${SERVICES}/balance/${userId}`)).body).toEqual(balance.body);
    expect(await faultsOf(test)).toEqual([]);
    const list = await service.app().get(`${SERVICES}/transactions/${other.userId}`);
    expect((list.body as readonly Listed[])[0]?.description).toBe('others’ words');
    expect(await history(last)).toHaveLength(6);
  });

  it('leaves replays as they were: the same status, ids, amounts and balances, without the words', async () => {
    const { hold, last } = await live();
    const body = { reservationId: hold, amount: 4, description: 'commit words' };
    const commit = granted(await service.app().post(`${SERVICES}/commit`, body));
    await erase();
    const again = granted(await service.app().post(`${SERVICES}/use`, use()));
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const { transaction, ...rest } = last.body as { transaction: object };
    expect(again.body).toEqual({ ...rest, transaction: { ...transaction, description: null, metadata: null } });
    expect((await service.app().post(`${SERVICES}/commit`, body)).body).toEqual(commit.body);
    // What it was said with is still told from something else.
    expect((await service.app().post(`${SERVICES}/use`, { ...use(), description: 'other words' })).status).toBe(409);
  });

  it('can be followed by new words under a new key', async () => {
    const { last } = await live();
    await erase();
    const later = granted(await service.app().post(`${SERVICES}/use`, { userId, amount: 2, description: 'later words' }));
    const described = (await history(later)).map(({ description }) => description);
    expect(described).toEqual(['later words', null, null, null, null, null, null]);
    expect(tokenOf(later)).not.toBe(tokenOf(last));
    expect((await erase()).body).toEqual({ erased: 1 });
    expect((await history(later))[0]?.description).toBeNull();
  });

  it('may be repeated, and keeps who did it first and when', async () => {
    await live();
    expect((await erase()).body).toEqual({ erased: 1 });
    const { rows } = await test.pool.query<{ key: unknown; erased_at: Date; erased_by: string }>(TOMBSTONES, [userId]);
    expect(rows).toEqual([{ key: null, erased_at: expect.any(Date), erased_by: 'app:support key:MANA_SERVICE_KEY' }]);
    expect(await service.app('other').post(ERASE, { userId })).toMatchObject({ status: 200, body: { erased: 0 } });
    expect((await test.pool.query(TOMBSTONES, [userId])).rows).toEqual(rows);
    expect(await erase('nobody-at-all')).toMatchObject({ status: 200, body: { erased: 0 } });
  });

  it('is refused to users, to nobody, and without a name', async () => {
    await live();
    expect((await service.anonymous.post(ERASE, { userId })).status).toBe(401);
    expect((await (await service.user(userId)).post(ERASE, { userId })).status).toBe(401);
    for (const body of [{}, { userId: '' }, { userId: 1 }, { userId: 'a'.repeat(129) }, { userId: 'a\0' }]) {
      const { status, body: said } = await service.app().post(ERASE, body);
      expect(status).toBe(400);
      expect(said).toMatchObject({ error: 'validation_failed', details: [{ path: 'userId' }] });
    }
    expect((await test.pool.query(TOMBSTONES, [userId])).rows).toEqual([]);
  });
});

it('rebuilding needs no key: folded from the log, the read models are the same to the bit', async () => {
  const { last } = await live();
  await erase();
  await service.close();
  const folding = await startService({ databaseUrl: database.url });
  try {
    await expectAsFolded({ db: folding.context.db, store: test.store }, database.superuser);
  } finally {
    service = folding;
  }
  expect((await history(last)).every(({ description }) => description === null)).toBe(true);
});

it('what a process seals while the person is erased is whole: read or gone, never an error', async () => {
  await giveCredits(service.app(), userId, 100);
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, turn) => {
      if (turn % 10 === 5) await erase();
      return service.app().post(`${SERVICES}/use`, { userId, amount: 1, description: `turn ${turn}` });
    }),
  );
  for (const answer of answers) expect([null, ...DESCRIBED]).toContain(descriptionOf(granted(answer)));
  expect(await faultsOf(test)).toEqual([]);
  const after = granted(await service.app().post(`${SERVICES}/use`, { userId, amount: 1, description: 'after all' }));
  expect(descriptionOf(after)).toBe('after all');
});

const DESCRIBED = Array.from({ length: 40 }, (_, turn) => `turn ${turn}`);

function descriptionOf({ body }: Answer): string | null {
  return (body as { transaction: { description: string | null } }).transaction.description;
}

const TOMBSTONES = 'select key, erased_at, erased_by from ledger.personal_keys where subject = $1 and erased_at is not null';

/** Every event as it is stored, and what else the log has put down for itself. */
async function logAndClaims(): Promise<readonly unknown[]> {
  const { rows } = await database.superuser.query<{ row: string }>('select t::text as row from ledger.claims t order by 1');
  return [...(await test.store.readAll({ after: START, limit: 10_000 })), ...rows.map(({ row }) => row)];
}
