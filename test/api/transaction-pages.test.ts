import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountStream } from '../../src/events/account-events.ts';
import { project } from '../../src/projections/project.ts';
import { type Answer, type ApiClient, giveCredits, granted, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';

/* Lists without workers: what has arrived is what a test has brought there. */

const SERVICES = '/api/v1/internal/credits';

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

async function arrive(userId: string): Promise<void> {
  const { db, store } = service.context;
  const [last] = await store.readStream(accountStream(userId), { direction: 'backward', limit: 1 });
  await project(db, store, [{ stream: accountStream(userId), revision: last?.revision ?? -1 }]);
}

async function useTimes(userId: string, count: number): Promise<void> {
  const uses = Array.from({ length: count }, () => service.app().post(`${SERVICES}/use`, { userId, amount: 0.001 }));
  for (const answer of await Promise.all(uses)) granted(answer);
}

const pathOf = (userId: string, query: string) => `${SERVICES}/transactions/${encodeURIComponent(userId)}?${query}`;
const revisionsOf = ({ body }: Answer) => (body as { revision: number }[]).map(({ revision }) => revision);

/** Where an answer says that the next page is. */
function nextOf({ headers }: Answer): string | undefined {
  const link = headers.get('link');
  if (link === null) return undefined;
  const [, path] = /^<([^>]+)>; rel="next"$/.exec(link) ?? [];
  if (path === undefined) throw new Error(`no link to a next page: ${link}`);
  return path;
}

/** All pages from one on, each revision as it was shown. `between` runs before each page but the first. */
async function follow(client: ApiClient, path: string, between: (page: number) => Promise<void>): Promise<readonly number[]> {
  const seen: number[] = [];
  let page = 0;
  for (let next: string | undefined = path; next !== undefined; page += 1) {
    if (page > 0) await between(page);
    const answer = granted(await client.get(next));
    seen.push(...revisionsOf(answer));
    next = nextOf(answer);
  }
  return seen;
}

const RUNS = 15;

it('pages skip and repeat nothing while others arrive, however large they are', { timeout: 60_000 }, async () => {
  let users = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 10 }),
      fc.constantFrom('', '&type=usage'),
      async (already, limit, arriving, filter) => {
        users += 1;
        const userId = `paged ü/${users}`;
        await giveCredits(service.app(), userId, 10);
        await useTimes(userId, already);
        await arrive(userId);
        const seen = await follow(service.app(), pathOf(userId, `limit=${limit}${filter}`), async (page) => {
          await useTimes(userId, arriving[page % arriving.length] ?? 0);
          await arrive(userId);
        });
        // What was there at the first page, newest first: the uses, and the grant where it is asked for.
        const there = Array.from({ length: already + 1 }, (_, index) => already + 1 - index);
        expect(seen).toEqual(filter === '' ? there : there.slice(0, -1));
      },
    ),
    { numRuns: RUNS },
  );
  expect(users).toBeGreaterThan(0);
});

describe('a list', () => {
  const userId = 'listed';

  beforeAll(async () => {
    const app = service.app('chat');
    await giveCredits(app, userId, 10);
    const used = granted(await app.post(`${SERVICES}/use`, { userId, amount: 3, appId: 'label' }));
    const { transaction } = used.body as { transaction: { id: string } };
    granted(await app.post(`${SERVICES}/refund`, { userId, amount: 1, transactionId: transaction.id }));
    granted(await app.post(`${SERVICES}/refund`, { userId, amount: 2, description: 'sorry' }));
    await holdCredits(service.app('studio'), userId, 1);
    await arrive(userId);
  });

  it.each([
    ['', [5, 4, 3, 2, 1]],
    ['type=refund', [4, 3]],
    ['type=dispute', []],
    ['appId=label', [3, 2]],
    ['appId=studio', [5]],
    ['appId=chat&type=grant', [1]],
    ['from=2000-01-01&to=2100-01-01', [5, 4, 3, 2, 1]],
    ['to=2000-01-01', []],
    ['from=2100-01-01T00:00:00Z', []],
    ['limit=2&offset=1', [4, 3]],
  ])('shows of %s only what was asked for', async (query, revisions) => {
    expect(revisionsOf(granted(await service.app().get(pathOf(userId, query))))).toEqual(revisions);
  });

  it('names the next page while there is one, with all that was asked for', async () => {
    const first = granted(await service.app().get(pathOf(userId, 'limit=1&type=refund&from=2000-01-01')));
    const next = nextOf(first) ?? '';
    expect([...new URL(next, service.url).searchParams.keys()].toSorted()).toEqual(['cursor', 'from', 'limit', 'type']);
    const second = granted(await service.app().get(next));
    expect(revisionsOf(second)).toEqual([3]);
    expect(nextOf(second)).toBeUndefined();
    const whole = granted(await service.app().get(pathOf(userId, 'limit=5')));
    expect(nextOf(whole)).toBeUndefined();
  });

  it('goes on from an offset by cursor', async () => {
    const first = granted(await service.app().get(pathOf(userId, 'limit=2&offset=2')));
    expect(revisionsOf(first)).toEqual([3, 2]);
    expect(revisionsOf(granted(await service.app().get(nextOf(first) ?? '')))).toEqual([1]);
  });

  it('pages for its user as well, on the path of users', async () => {
    const user = await service.user(userId);
    const first = granted(await user.get('/api/v1/credits/transactions?limit=3'));
    expect(nextOf(first)).toMatch(/^\/api\/v1\/credits\/transactions\?/);
    expect(revisionsOf(granted(await user.get(nextOf(first) ?? '')))).toEqual([2, 1]);
    // Somebody else with the same cursor sees their own.
    const other = await service.user('somebody-else');
    expect(revisionsOf(granted(await other.get(nextOf(first) ?? '')))).toEqual([]);
  });

  it('says what a refund gives back, and marks goodwill as such', async () => {
    const { body } = granted(await service.app().get(pathOf(userId, 'type=refund')));
    const [goodwill, refund] = body as readonly object[];
    expect(goodwill).toMatchObject({ goodwill: true, amount: 2, description: 'sorry' });
    expect(goodwill).not.toHaveProperty('relatedTransactionId');
    expect(refund).toMatchObject({ relatedTransactionId: `txn_2_account-${userId}`, amount: 1 });
    expect(refund).not.toHaveProperty('goodwill');
  });

  it.each([
    ['cursor=x', 'cursor'],
    [`cursor=${Buffer.from('{"before":-1}').toString('base64url')}`, 'cursor'],
    [`cursor=${Buffer.from('{"before":1}').toString('base64url')}&offset=1`, 'offset'],
    ['type=everything', 'type'],
    ['appId=', 'appId'],
    ['from=x', 'from'],
    ['to=2026-13-01', 'to'],
    ['limit=201', 'limit'],
  ])('refuses %s', async (query, at) => {
    const { status, body } = await service.app().get(pathOf(userId, query));
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: 'validation_failed', details: [{ path: at }] });
  });
});
