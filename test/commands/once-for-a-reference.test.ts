import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { credits, grant, minute, START, use } from '../support/account-samples.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { debit } from '../support/grant-samples.ts';
import { eventOf, historyOf, openWritePath, type WritePath } from '../support/write-path.ts';

/*
 * What is done once for a (reason, reference) is told as done to whoever asks again under another key, though now it
 * would be refused: the claim stands in the log, and the state doesn't know it.
 */

let database: TestDatabase;
let path: WritePath;
let now = START;

beforeAll(async () => {
  database = await createTestDatabase();
  path = await openWritePath(database.url, { now: () => now });
});

afterAll(async () => {
  await path?.close();
  await database?.close();
});

beforeEach(() => {
  now = START;
});

test('a debit repeated when nothing is left', async () => {
  const user = randomUUID();
  await path.run(user, grant({ amount: credits(10) }));
  const first = eventOf(await path.run(user, debit(credits(10)), { key: 'first' }));
  expect(await path.run(user, debit(credits(10)), { key: 'second' })).toMatchObject({ kind: 'unchanged', event: first });
  expect(await path.run(user, debit(credits(10)), { key: 'first' })).toEqual({ kind: 'accepted', event: first, replayed: true });
  expect(await path.run(user, debit(credits(10), { reference: 'another' }))).toMatchObject({ kind: 'rejected' });
  expect((await historyOf(path.store, user)).filter(({ type }) => type === 'CreditsDebited')).toHaveLength(1);
});

test('a debit asked for twenty times at once, through one process, is taken once', async () => {
  const user = randomUUID();
  await path.run(user, grant({ amount: credits(15) }));
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => path.run(user, debit(credits(10)))));
  const accepted = outcomes.filter(({ kind }) => kind === 'accepted');
  expect(accepted).toHaveLength(1);
  const [first] = accepted.map(eventOf);
  expect(outcomes.filter(({ kind }) => kind === 'unchanged')).toHaveLength(19);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ event: { revision: first?.revision } });
});

test('a grant repeated when its end has passed, and when another would lift the account too high', async () => {
  const user = randomUUID();
  const ending = grant({ amount: credits(10), expiresAt: minute(5) });
  const first = eventOf(await path.run(user, ending));
  now = minute(6);
  expect(await path.run(user, ending)).toMatchObject({ kind: 'unchanged', event: { revision: first.revision } });
  for (let count = 0; count < 3; count += 1) {
    eventOf(await path.run(user, grant({ amount: credits(1_000_000_000), reference: `much ${count}` })));
  }
  const last = grant({ amount: credits(999_999_990), reference: 'the last' });
  const given = eventOf(await path.run(user, last));
  expect(await path.run(user, last)).toMatchObject({ kind: 'unchanged', event: { revision: given.revision } });
  expect(await path.run(user, { ...last, reference: 'one more' })).toMatchObject({
    kind: 'rejected',
    rejection: { code: 'limit_exceeded', limit: 'totalEarned' },
  });
  eventOf(await path.run(user, use(credits(1))));
});
