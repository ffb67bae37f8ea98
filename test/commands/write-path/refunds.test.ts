import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AccountEventOf } from '../../../src/events/account-events.ts';
import { micro, ZERO } from '../../../src/events/amounts.ts';
import type { Recorded } from '../../../src/events/event-types.ts';
import { commit, credits, grant, iso, minute, refund, reserve, START, use } from '../../support/account-samples.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { type FaultyStore, faultyStore } from '../../support/faulty-store.ts';
import { eventOf, historyOf, openWritePath, type WritePath } from '../../support/write-path.ts';

/** Refunds through the write path: of consumptions that the state let go, by several processes, and after a doubt. */
let database: TestDatabase;
let faulty: FaultyStore;
let left: WritePath;
let right: WritePath;
let now = START;

beforeAll(async () => {
  database = await createTestDatabase();
  faulty = faultyStore();
  left = await openWritePath(database.url, { before: faulty.before, now: () => now });
  right = await openWritePath(database.url, { now: () => now });
});

afterAll(async () => {
  await left?.close();
  await right?.close();
  await database?.close();
});

/** Who used 60 of two lots with 40 each, at revision 3. */
let user = '';
beforeEach(async () => {
  user = randomUUID();
  await left.run(user, grant({ amount: credits(40) }));
  await left.run(user, grant({ amount: credits(40), reference: 'r2' }));
  await left.run(user, use(credits(60)));
});

async function refunds(): Promise<readonly Recorded<AccountEventOf<'CreditsRefunded'>>[]> {
  const events = await historyOf(left.store, user);
  return events.flatMap((event) => (event.type === 'CreditsRefunded' ? [event] : []));
}

test('two processes at once give back no more than was used', async () => {
  const amounts = Array.from({ length: 24 }, (_, index) => micro(5_000_000 + (index % 3)));
  const outcomes = await Promise.all(
    amounts.map((amount, index) => (index % 2 === 0 ? left : right).run(user, refund(3, amount))),
  );
  const given = await refunds();
  // A twelfth would have to be of less than five credits.
  expect(given).toHaveLength(11);
  expect(outcomes.filter(({ kind }) => kind === 'accepted')).toHaveLength(11);
  for (const outcome of outcomes.filter(({ kind }) => kind === 'rejected')) {
    expect(outcome).toMatchObject({ rejection: { code: 'refund_exceeds_consumption' } });
  }
  const sum = given.reduce((total, { data }) => total + data.amount, 0);
  expect(given.at(-1)?.data).toMatchObject({ refunded: sum, after: { available: 20_000_000 + sum, spent: 60_000_000 - sum } });
  const remainder = micro(credits(60) - sum);
  expect(await right.run(user, refund(3, micro(remainder + 1)))).toMatchObject({ rejection: { left: remainder } });
  expect(await left.run(user, refund(3, remainder))).toMatchObject({ kind: 'accepted' });
});

test('of two that each would give back all of it, one does', async () => {
  for (let round = 0; round < 10; round += 1) {
    const { revision } = eventOf(await left.run(user, use(credits(10))));
    const outcomes = await Promise.all([left, right].map((path) => path.run(user, refund(revision, credits(10)))));
    expect(outcomes.map(({ kind }) => kind).toSorted()).toEqual(['accepted', 'rejected']);
    const refused = outcomes.find(({ kind }) => kind === 'rejected');
    expect(refused).toMatchObject({ rejection: { code: 'refund_exceeds_consumption', left: ZERO } });
  }
  expect((await left.account(user)).state).toMatchObject({ balances: { available: credits(20), spent: credits(60) } });
});

test('one key at two processes gives back once', async () => {
  const outcomes = await Promise.all(
    [left, right, left, right].map((path) => path.run(user, refund(3, credits(9)), { key: 'k' })),
  );
  expect(new Set(outcomes.map((outcome) => eventOf(outcome).id)).size).toBe(1);
  expect(await refunds()).toHaveLength(1);
});

test('many in one batch go on where the one before them ended', async () => {
  await Promise.all(Array.from({ length: 300 }, () => left.run(user, refund(3, micro(200_000)))));
  const given = await refunds();
  expect(given.map(({ data }) => data.refunded)).toEqual(Array.from({ length: 300 }, (_, index) => (index + 1) * 200_000));
  const total = new Map<number, number>();
  for (const [revision, amount] of given.flatMap(({ data }) => data.restored)) {
    total.set(revision, (total.get(revision) ?? 0) + amount);
  }
  expect([...total]).toEqual([
    [2, 20_000_000],
    [1, 40_000_000],
  ]);
  // The first lot was let go when nothing was left of it, and comes back once.
  expect(given.flatMap(({ data }) => data.reopened)).toEqual([{ revision: 1, priority: 50, expiresAt: null, frozen: false }]);
});

test('a process that has just started knows what was refunded, and the terms of lots it never saw open', async () => {
  const lasting = randomUUID();
  const expiresAt = minute(24 * 60);
  await left.run(lasting, grant({ amount: credits(8), priority: 7, expiresAt }));
  const hold = eventOf(await left.run(lasting, reserve({ amount: credits(8) })));
  const used = eventOf(await left.run(lasting, commit(hold.revision)));
  await left.run(lasting, refund(used.revision, credits(3)));
  await left.run(lasting, use(credits(3)));
  const fresh = await openWritePath(database.url, { now: () => now });
  try {
    expect(await fresh.run(lasting, refund(used.revision, micro(5_000_001)))).toMatchObject({ rejection: { left: credits(5) } });
    expect(eventOf(await fresh.run(lasting, refund(used.revision, credits(5)))).data).toMatchObject({
      refunded: credits(8),
      restored: [[1, credits(5)]],
      reopened: [{ revision: 1, priority: 7, expiresAt: iso(expiresAt), frozen: false }],
      after: { available: credits(5), spent: credits(3) },
    });
  } finally {
    await fresh.close();
  }
});

test.each(['answer lost', 'call lost', 'late'] as const)('%s: it is given back once', async (fault) => {
  faulty.faults.push(fault);
  expect(await left.run(user, refund(3, credits(60)))).toMatchObject({ kind: 'accepted', replayed: false });
  expect(await refunds()).toHaveLength(1);
  expect(await right.run(user, refund(3, micro(1)))).toMatchObject({ rejection: { left: ZERO } });
});

test('a lot that runs out in the same batch comes back as a fresh one', async () => {
  const ending = randomUUID();
  await left.run(ending, grant({ amount: credits(10), expiresAt: now + 60_000 }));
  const { revision } = eventOf(await left.run(ending, use(credits(4))));
  now += 60_000;
  expect(eventOf(await left.run(ending, refund(revision, credits(4)))).data).toMatchObject({
    restored: [],
    reopened: [],
    fresh: { amount: credits(4), priority: 50, expiresAt: iso(now + 30 * 24 * 60 * 60 * 1_000) },
    after: { available: credits(4) },
  });
  expect((await historyOf(left.store, ending)).map(({ type }) => type).slice(-2)).toEqual(['Expired', 'CreditsRefunded']);
});

test('looks for its key once, though it reads twice: the consumption, and then the lots that paid for it', async () => {
  const claims: string[] = [];
  const reads: number[] = [];
  const path = await openWritePath(database.url, {
    before: (store) => ({
      ...store,
      findClaims: (stream, asked) => {
        claims.push(...asked);
        return store.findClaims(stream, asked);
      },
      lastAbout: (stream, revisions) => {
        reads.push(...revisions);
        return store.lastAbout(stream, revisions);
      },
    }),
    now: () => now,
  });
  try {
    expect(await path.run(user, refund(3, credits(50)))).toMatchObject({ kind: 'accepted' });
    expect(reads).toEqual([3, 1, 2]);
    expect(claims).toHaveLength(1);
  } finally {
    await path.close();
  }
});
