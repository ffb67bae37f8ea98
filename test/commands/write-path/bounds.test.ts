import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { OverloadedError } from '../../../src/commands/write-path/envelope.ts';
import { micro } from '../../../src/events/amounts.ts';
import { credits, grant, reserve, use } from '../../support/account-samples.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { type FaultyStore, faultyStore } from '../../support/faulty-store.ts';
import { eventOf, historyOf, openWritePath, type WritePath } from '../../support/write-path.ts';

/** What is too much, or can't be stored, and how little it harms the rest. */
let database: TestDatabase;
let path: WritePath;
let faulty: FaultyStore;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

beforeEach(async () => {
  faulty = faultyStore();
  path = await openWritePath(database.url, { before: faulty.before });
});

afterEach(() => path?.close());

/** Users with a credit each, whose accounts are at hand. */
async function users(count: number): Promise<readonly string[]> {
  const names = Array.from({ length: count }, () => randomUUID());
  await Promise.all(names.map((name) => path.run(name, grant({ amount: credits(1) }))));
  return names;
}

const spendAll = (names: readonly string[]) => names.map((name) => path.run(name, use(credits(1))));

// Postgres takes no U+0000 in a text, and no name of a stream that its index can't hold.
test.each([
  ['U+0000 in it', () => `u\u0000${randomUUID()}`],
  ['a length that no index holds', () => randomBytes(9_000).toString('hex')],
])('a user with %s harms no other in the group, warm or cold', async (_, poisoned) => {
  const warm = await users(40);
  const fresh = Array.from({ length: 40 }, () => randomUUID());
  const poison = Array.from({ length: 3 }, () => path.run(poisoned(), grant({ amount: credits(1) })));
  const [refused, accepted] = await Promise.all([
    Promise.allSettled(poison),
    Promise.all([...spendAll(warm), ...fresh.map((name) => path.run(name, grant({ amount: credits(1) })))]),
  ]);
  expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(accepted.map(({ kind }) => kind)).toEqual(Array.from({ length: 80 }, () => 'accepted'));
  expect((await path.run(fresh[0] ?? '', use(credits(1)))).kind).toBe('accepted');
});

test('words beyond 256 KiB are refused, and harm neither their stream nor the group', async () => {
  const names = await users(10);
  const [first = ''] = names;
  const tooLong = { ...use(micro(1)), personal: 'x'.repeat(256 * 1024) };
  const [refused, ...accepted] = await Promise.all([
    path.run(first, tooLong),
    path.run(first, use(micro(1))),
    ...spendAll(names.slice(1)),
  ]);
  expect(refused).toEqual({ kind: 'rejected', rejection: { code: 'limit_exceeded', limit: 'eventBytes', maximum: 262_144 } });
  expect(accepted.map(({ kind }) => kind)).toEqual(Array.from({ length: 10 }, () => 'accepted'));
  expect(await historyOf(path.store, first)).toHaveLength(3);
});

test('large events of one stream go into as many batches as it takes, in order', async () => {
  const [user = ''] = await users(1);
  const large = { ...use(micro(1)), personal: 'x'.repeat(200 * 1024) };
  faulty.appends.length = 0;
  const outcomes = await Promise.all(Array.from({ length: 10 }, () => path.run(user, large)));
  expect(outcomes.map((outcome) => eventOf(outcome).revision)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  expect(faulty.appends.map((group) => group.reduce((sum, { events }) => sum + events.length, 0))).toEqual([2, 2, 2, 2, 2]);
});

test('large events of many streams go into as many groups as it takes', async () => {
  const names = await users(12);
  faulty.appends.length = 0;
  const large = { ...use(micro(1)), personal: 'x'.repeat(200 * 1024) };
  const outcomes = await Promise.all(names.map((name) => path.run(name, large)));
  expect(outcomes.every(({ kind }) => kind === 'accepted')).toBe(true);
  expect(Math.max(...faulty.appends.map((group) => group.length))).toBeLessThanOrEqual(2);
});

/** How many of these are refused without waiting for anything that is held. */
async function refusedAtOnce(commands: readonly Promise<unknown>[]): Promise<number> {
  let refused = 0;
  for (const command of commands) {
    command.catch((error: unknown) => {
      if (error instanceof OverloadedError) refused += 1;
    });
  }
  await new Promise(setImmediate);
  return refused;
}

test('one stream holds two thousand that wait; the next is refused at once, and later taken', async () => {
  const [user = ''] = await users(1);
  const open = faulty.hold();
  const commands = Array.from({ length: 2_100 }, () => path.run(user, use(micro(1))));
  expect(await refusedAtOnce(commands)).toBe(100);
  expect(path.handler.waiting).toBe(2_000);
  open();
  const settled = await Promise.allSettled(commands);
  expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(2_000);
  expect(path.handler.waiting).toBe(0);
  expect((await path.run(user, use(micro(1)))).kind).toBe('accepted');
  expect(await historyOf(path.store, user)).toHaveLength(2 + 2_001);
});

test('a process holds ten thousand that wait, over all streams', async () => {
  const names = await users(100);
  const open = faulty.hold();
  const commands = names.flatMap((name) => Array.from({ length: 120 }, () => path.run(name, reserve({ amount: credits(2) }))));
  expect(await refusedAtOnce(commands)).toBe(2_000);
  expect(path.handler.waiting).toBe(10_000);
  open();
  const settled = await Promise.allSettled(commands);
  expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(10_000);
  expect(path.handler.waiting).toBe(0);
});

test('a process holds sixty-four mebibytes of requests that wait, over all streams', async () => {
  const names = await users(100);
  const open = faulty.hold();
  const large = 1024 * 1024;
  const commands = names.map((name) => path.run(name, use(micro(1)), { bytes: large }));
  expect(await refusedAtOnce(commands)).toBe(36);
  expect(path.handler.waiting).toBe(64);
  open();
  await Promise.allSettled(commands);
  expect((await path.run(names[99] ?? '', use(micro(1)), { bytes: large })).kind).toBe('accepted');
});

test('closing finishes what was accepted and refuses what is new', async () => {
  const names = await users(20);
  const open = faulty.hold();
  const accepted = names.flatMap((name) => Array.from({ length: 10 }, () => path.run(name, use(micro(1)))));
  const closed = path.handler.close();
  await expect(path.run(names[0] ?? '', use(micro(1)))).rejects.toThrow(OverloadedError);
  await expect(path.run(randomUUID(), use(micro(1)))).rejects.toThrow(OverloadedError);
  open();
  await closed;
  expect((await Promise.all(accepted)).every(({ kind }) => kind === 'accepted')).toBe(true);
  expect(await historyOf(path.store, names[0] ?? '')).toHaveLength(12);
});
