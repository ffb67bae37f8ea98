import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Batch } from '../../src/events/store.ts';
import { micro, ZERO } from '../../src/events/amounts.ts';
import { accountStream } from '../../src/events/account-events.ts';
import { OverloadedError } from '../../src/commands/write-path/envelope.ts';
import { commit, credits, grant, reserve, use } from '../support/account-samples.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventOf, historyOf, openWritePath, type WritePath } from '../support/write-path.ts';

/** Two processes' worth of write paths on one database. */
let database: TestDatabase;
let one: WritePath;
let two: WritePath;
/** What the second one asked the store to append. */
let asked: Batch[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  one = await openWritePath(database.url);
  two = await openWritePath(database.url, {
    before: (store) => ({
      ...store,
      append(batches) {
        asked.push(...batches);
        return store.append(batches);
      },
    }),
  });
});

afterAll(async () => {
  await Promise.all([one?.close(), two?.close()]);
  await database?.close();
});

const ONE_MICRO = use(micro(1));

test('credit granted through one is at once spendable through the other, again and again', async () => {
  for (let round = 0; round < 20; round += 1) {
    await one.run('shared', grant({ amount: credits(1), reference: `r${round}` }));
    expect(eventOf(await two.run('shared', use(credits(1)))).data.after).toMatchObject({
      available: ZERO,
      spent: credits(round + 1),
    });
  }
});

test('a refusal decided on a stale state is not given: the head is confirmed first', async () => {
  await one.run('stale', grant({ amount: credits(1) }));
  expect(await two.run('stale', use(credits(5)))).toMatchObject({ kind: 'rejected', rejection: { available: credits(1) } });
  await one.run('stale', grant({ amount: credits(9), reference: 'r2' }));

  asked = [];
  expect(eventOf(await two.run('stale', use(credits(5)))).data.after.available).toBe(credits(5));
  // First the refusal was held against the head, then the same was decided again on what the conflict brought.
  expect(asked.map(({ expectedRevision, events }) => [expectedRevision, events.length])).toEqual([
    [1, 0],
    [2, 1],
  ]);
});

test('a refusal names what is there now, not what was', async () => {
  await one.run('named', grant({ amount: credits(9) }));
  expect(await two.run('named', use(credits(10)))).toMatchObject({ rejection: { available: credits(9) } });
  await one.run('named', use(credits(4)));
  expect(await two.run('named', use(credits(10)))).toMatchObject({ rejection: { available: credits(5) } });
});

test('a key that both use at once answers both with one event, and another request under it is refused', async () => {
  await one.run('keys', grant({ amount: credits(100) }));
  for (let round = 0; round < 20; round += 1) {
    const key = `key-${round}`;
    const [a, b] = await Promise.all([one.run('keys', use(credits(1)), { key }), two.run('keys', use(credits(1)), { key })]);
    expect(eventOf(a)).toEqual(eventOf(b));
    expect(new Set([a, b].map((outcome) => outcome.kind === 'accepted' && outcome.replayed))).toEqual(new Set([false, true]));
    const other = await two.run('keys', use(credits(2)), { key });
    expect(other).toEqual({ kind: 'rejected', rejection: { code: 'idempotency_conflict' } });
  }
  expect(await historyOf(one.store, 'keys')).toHaveLength(22);
});

test('the same key of another app is another key, and a refusal leaves a key free', async () => {
  await one.run('free', grant({ amount: credits(5) }));
  expect((await two.run('free', use(credits(6)), { key: 'k' })).kind).toBe('rejected');
  await one.run('free', grant({ amount: credits(5), reference: 'r2' }));
  expect(await two.run('free', use(credits(6)), { key: 'k' })).toMatchObject({ kind: 'accepted', replayed: false });
  expect(await one.run('free', use(credits(3)), { key: 'k', app: 'another' })).toMatchObject({
    kind: 'accepted',
    replayed: false,
  });
});

test('two that hammer one account both get their share, and nothing is spent twice', async () => {
  const TOTAL = 6_000;
  await one.run('hot', grant({ amount: micro(TOTAL - 10) }));
  // Who first has to read hundreds of events comes late, and has less than half.
  await two.account('hot');
  const done = { one: 0, two: 0 };
  let refused = 0;
  let issued = 0;
  const client = async (name: 'one' | 'two', path: WritePath) => {
    while (issued < TOTAL) {
      issued += 1;
      const outcome = await path.run('hot', ONE_MICRO);
      done[name] += 1;
      if (outcome.kind === 'rejected') refused += 1;
    }
  };
  const clients = Array.from({ length: 32 }, () => [client('one', one), client('two', two)]);
  await Promise.all(clients.flat());

  expect(done.one + done.two).toBe(TOTAL);
  expect(Math.min(done.one, done.two) * 100).toBeGreaterThanOrEqual(TOTAL * 40);
  expect(refused).toBe(10);
  const events = await historyOf(one.store, 'hot');
  expect(events).toHaveLength(2 + TOTAL - 10);
  expect(events.at(-1)?.data.after).toMatchObject({ available: ZERO, spent: micro(TOTAL - 10) });
});

test('an account is written all the same whose turn somebody keeps', async () => {
  await one.run('kept', grant({ amount: credits(2) }));
  const holder = await database.superuser.query<{ got: boolean }>('select pg_try_advisory_lock(hashtextextended($1, 0)) as got', [
    accountStream('kept'),
  ]);
  expect(holder.rows).toEqual([{ got: true }]);
  try {
    const outcomes = await Promise.all([one.run('kept', use(credits(1))), two.run('kept', use(credits(1)))]);
    expect(outcomes.map(({ kind }) => kind)).toEqual(['accepted', 'accepted']);
  } finally {
    await database.superuser.query('select pg_advisory_unlock(hashtextextended($1, 0))', [accountStream('kept')]);
  }
});

test('who is thousands of events behind catches up within one command', async () => {
  await one.run('behind', grant({ amount: credits(1) }));
  await two.account('behind');
  await Promise.all(Array.from({ length: 2_500 }, () => retried(() => one.run('behind', ONE_MICRO))));
  expect(eventOf(await two.run('behind', ONE_MICRO)).revision).toBe(2_502);
});

/** Does again what was refused because too many waited. */
async function retried<Result>(work: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof OverloadedError)) throw error;
      await new Promise(setImmediate);
    }
  }
}

test('a hold settled hundreds of events ago is answered as then, warm and cold, through both', async () => {
  await one.run('long', grant({ amount: credits(100) }));
  const { revision } = eventOf(await one.run('long', reserve({ amount: credits(10) })));
  const key = randomUUID();
  const first = eventOf(await one.run('long', commit(revision, credits(4)), { key }));
  const spare = eventOf(await one.run('long', reserve({ amount: credits(10) })));
  const back = eventOf(await one.run('long', { type: 'ReleaseReservation', reservation: spare.revision, personal: null }));
  await Promise.all(Array.from({ length: 500 }, () => one.run('long', ONE_MICRO)));

  const cold = await openWritePath(database.url);
  for (const path of [one, two, cold]) {
    expect(await path.run('long', commit(revision, credits(4)))).toEqual({ kind: 'accepted', event: first, replayed: true });
    expect(await path.run('long', commit(revision, credits(4)), { key })).toEqual({
      kind: 'accepted',
      event: first,
      replayed: true,
    });
    expect(await path.run('long', { type: 'ReleaseReservation', reservation: spare.revision, personal: null })).toEqual({
      kind: 'accepted',
      event: back,
      replayed: true,
    });
    const resolution = {
      status: 'consumed',
      transaction: { stream: accountStream('long'), revision: first.revision },
      amount: credits(4),
    };
    const refusal = { kind: 'rejected', rejection: { code: 'reservation_already_resolved', resolution } };
    expect(await path.run('long', commit(revision, credits(5)))).toEqual(refusal);
    expect(await path.run('long', { type: 'ReleaseReservation', reservation: revision, personal: null })).toEqual(refusal);
    expect((await path.run('long', commit(revision, credits(4)), { app: 'another' })).kind).toBe('rejected');
  }
  await cold.close();
  expect(await historyOf(one.store, 'long')).toHaveLength(2 + 4 + 500);
});

test('a hold that many settle at once is settled once, and each is told so', async () => {
  await one.run('race', grant({ amount: credits(100) }));
  for (let round = 0; round < 10; round += 1) {
    const { revision } = eventOf(await one.run('race', reserve({ amount: credits(2) })));
    const release = { type: 'ReleaseReservation', reservation: revision, personal: null } as const;
    const outcomes = await Promise.all(
      [one, two].flatMap((path) => [
        path.run('race', commit(revision)),
        path.run('race', commit(revision)),
        path.run('race', release),
      ]),
    );
    const settled = new Set(outcomes.flatMap((outcome) => (outcome.kind === 'accepted' ? outcome.event.id : [])));
    expect(settled.size).toBe(1);
    const others = outcomes.flatMap((outcome) => (outcome.kind === 'rejected' ? outcome.rejection.code : []));
    expect(new Set(others)).toEqual(new Set(['reservation_already_resolved']));
  }
});

test('a signup grant that was given by hand is not given again, and init answers', async () => {
  await one.run('signed', grant({ amount: credits(5), reason: 'signup', reference: 'signup' }));
  expect(await two.run('signed', { type: 'OpenAccount', signupGrant: credits(20) })).toMatchObject({
    kind: 'unchanged',
    revision: 1,
  });
});
