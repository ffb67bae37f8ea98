import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, type ApiClient, giveCredits, granted, holdCredits, readOwn, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Api, startApi, startWorker } from './api-processes.ts';
import { type Child, killAll } from './children.ts';

/*
 * Two API processes and one of workers on one log. What one of them has answered holds for the other at once, whichever
 * of them wrote it and whatever the other had in its memory.
 */

const SERVICES = '/api/v1/internal/credits';

let database: TestDatabase;
let worker: Child;
let apis: readonly [Api, Api];

beforeAll(async () => {
  database = await createTestDatabase();
  const starting = [startApi(database.url), startApi(database.url)] as const;
  [worker, apis] = await Promise.all([startWorker(database.url), Promise.all(starting)]);
}, 90_000);

afterAll(async () => {
  const children = [worker, ...(apis ?? []).map(({ child }) => child)];
  for (const child of children) child?.kill('SIGTERM');
  const ends = await Promise.all(children.map((child) => child?.ended()));
  killAll();
  await database?.close();
  expect(ends).toEqual(children.map(() => ({ code: 0, signal: null })));
}, 90_000);

/** The two by turns: who writes, and who is asked. */
function turn(round: number): { readonly here: ApiClient; readonly there: ApiClient } {
  const [one, two] = apis;
  return round % 2 === 0 ? { here: one.service, there: two.service } : { here: two.service, there: one.service };
}

const post = async (client: ApiClient, route: string, body: object, key: string = randomUUID()) =>
  client.post(`${SERVICES}/${route}`, body, { 'idempotency-key': key });

const available = async (client: ApiClient, userId: string) =>
  (granted(await post(client, 'validate', { userId, amount: 1 })).body as { availableCredits: number }).availableCredits;

describe('what one has answered', { timeout: 60_000 }, () => {
  it('the other validates at once', async () => {
    const userId = 'validated';
    let left = 0;
    for (let round = 0; round < 20; round += 1) {
      const { here, there } = turn(round);
      await giveCredits(here, userId, 5);
      expect(await available(there, userId)).toBe(left + 5);
      granted(await post(there, 'use', { userId, amount: 3 }));
      expect(await available(here, userId)).toBe(left + 2);
      left += 2;
    }
  });

  it('can be spent through the other to the last credit, and no further', async () => {
    const userId = 'spent';
    for (let round = 0; round < 10; round += 1) {
      const { here, there } = turn(round);
      await giveCredits(here, userId, 7);
      granted(await post(there, 'use', { userId, amount: 7 }));
      const refused = await post(here, 'use', { userId, amount: 0.000001 });
      expect(refused.status).toBe(402);
      expect(refused.body).toMatchObject({ error: 'insufficient_credits', availableCredits: 0 });
    }
  });

  it('is settled by the other: a hold, once', async () => {
    const userId = 'held';
    await giveCredits(apis[0].service, userId, 100);
    for (let round = 0; round < 10; round += 1) {
      const { here, there } = turn(round);
      const reservationId = await holdCredits(here, userId, 4);
      granted(await post(there, 'commit', { reservationId, amount: 1 }));
      expect((await post(here, 'refund-reservation', { reservationId })).status).toBe(409);
    }
    expect(await available(apis[0].service, userId)).toBe(90);
  });

  it('stands before a batch of the other', async () => {
    const userId = 'batched';
    for (let round = 0; round < 6; round += 1) {
      const { here, there } = turn(round);
      await giveCredits(here, userId, 3);
      const commands = [2, 1, 1].map((amount) => ({ type: 'use', userId, amount, idempotencyKey: randomUUID() }));
      const { results } = granted(await there.post(`${SERVICES}/batch`, { commands })).body as { results: Answer[] };
      expect(results.map(({ status }) => status)).toEqual([200, 200, 402]);
      expect(await available(here, userId)).toBe(0);
    }
  });

  it('is read from the other with its token', async () => {
    const userId = 'read';
    for (let round = 1; round <= 10; round += 1) {
      const { here, there } = turn(round);
      const token = tokenOf(await giveCredits(here, userId, 1));
      const { status, body } = await readOwn(there, `${SERVICES}/balance/${userId}`, { 'x-min-revision': token });
      expect(status).toBe(200);
      expect(body).toMatchObject({ balance: round, revision: round });
      const listed = await readOwn(there, `${SERVICES}/transactions/${userId}`, { 'x-min-revision': token });
      expect(listed.body).toHaveLength(round);
    }
  });
});

describe('one key sent to both at once', { timeout: 60_000 }, () => {
  it('is executed once, and both are told the same', async () => {
    const userId = 'keyed';
    await giveCredits(apis[0].service, userId, 100);
    for (let round = 0; round < 25; round += 1) {
      const body = { userId, amount: 2, description: 'sent twice' };
      const answers = await Promise.all(apis.map(({ service }) => post(service, 'use', body, `twice-${round}`)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      expect(answers[0]?.body).toEqual(answers[1]?.body);
      const replayed = answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true');
      expect(replayed).toHaveLength(1);
    }
    for (const { service } of apis) expect(await available(service, userId)).toBe(50);
  });

  it('with another request under it: one is executed, the other is a conflict', async () => {
    const userId = 'differing';
    await giveCredits(apis[0].service, userId, 100);
    let left = 100;
    for (let round = 0; round < 25; round += 1) {
      const amounts = [1, 2];
      const answers = await Promise.all(
        apis.map(({ service }, index) => post(service, 'use', { userId, amount: amounts[index] }, `differing-${round}`)),
      );
      expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409]);
      left -= answers[0]?.status === 200 ? 1 : 2;
    }
    for (const { service } of apis) expect(await available(service, userId)).toBe(left);
  });
});

it('both spend one account at once: all of it, and nothing twice', { timeout: 60_000 }, async () => {
  const userId = 'contended';
  await giveCredits(apis[0].service, userId, 100);
  const answers = await Promise.all(
    Array.from({ length: 120 }, (_, index) => post(turn(index).here, 'use', { userId, amount: 1 })),
  );
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(100);
  expect(answers.filter(({ status }) => status === 402)).toHaveLength(20);
  for (const { service } of apis) expect(await available(service, userId)).toBe(0);
});

it('each says how often it met the other, and how much it has followed', { timeout: 60_000 }, async () => {
  const userId = 'measured';
  await giveCredits(apis[0].service, userId, 1_000);
  const counted = async ({ service }: Api, name: string): Promise<number> => {
    const text = String((await service.get('/metrics')).body);
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1]);
  };
  for (const api of apis) expect(await counted(api, 'ledger_conflicts_total')).toBeGreaterThan(0);
  const before = await counted(apis[0], 'ledger_followed_events_total');
  let followed = before;
  // How soon it is followed is up to the machine; that it is, is not.
  for (let round = 0; round < 500 && followed === before; round += 1) {
    granted(await post(turn(round).here, 'use', { userId, amount: 1 }));
    followed = await counted(apis[0], 'ledger_followed_events_total');
  }
  expect(followed).toBeGreaterThan(before);
});
