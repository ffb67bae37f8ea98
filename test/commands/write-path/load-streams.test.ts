import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accountDecider } from '../../../src/commands/account-decider.ts';
import { ClockSkewError } from '../../../src/commands/write-path/envelope.ts';
import { accountStream } from '../../../src/events/account-events.ts';
import { micro } from '../../../src/events/amounts.ts';
import { seal } from '../../../src/events/chain.ts';
import { SNAPSHOT_VERSION, UnreadableEventError } from '../../../src/events/event-types.ts';
import type { Metadata } from '../../../src/events/metadata.ts';
import { createSnapshots, type Snapshot } from '../../../src/events/postgres/snapshots.ts';
import { credits, grant, iso, reserve, START, use } from '../../support/account-samples.ts';
import { createTestDatabase, type TestDatabase, type TestStore } from '../../support/database.ts';
import { openLogOf } from '../../support/log-of.ts';
import { eventOf, historyOf, openWritePath, type WritePath } from '../../support/write-path.ts';

/** Streams as a process finds them that never held them before. */
let database: TestDatabase;
let writer: WritePath;
let raw: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  raw = await openLogOf(database.url);
  writer = await openWritePath(database.url, { now: () => START });
});

afterAll(async () => {
  await Promise.all([writer?.close(), raw?.close()]);
  await database?.close();
});

/** Does something on a write path that has never seen anything. */
async function cold<Result>(work: (path: WritePath) => Promise<Result>, now = START): Promise<Result> {
  const path = await openWritePath(database.url, { now: () => now });
  try {
    return await work(path);
  } finally {
    await path.close();
  }
}

/** An account with a few lots, holds and consumptions. Returns its user. */
async function busyAccount(): Promise<string> {
  const user = randomUUID();
  await writer.run(user, grant({ amount: credits(50), expiresAt: START + 86_400_000, priority: 10 }));
  await writer.run(user, grant({ amount: credits(50), reference: 'r2' }));
  await Promise.all(
    Array.from({ length: 30 }, (_, index) => writer.run(user, index % 3 === 0 ? reserve({ amount: credits(1) }) : use(micro(1)))),
  );
  return user;
}

/** The snapshot of an account at its head, as the write path would write it. */
async function snapshotOf(user: string): Promise<Snapshot> {
  const { state, revision } = await writer.account(user);
  const head = (await historyOf(writer.store, user)).at(-1);
  return { stream: accountStream(user), revision, hash: head?.hash.toString('base64url') ?? '', state: JSON.stringify(state) };
}

/** A snapshot that shows in what is loaded from it: everything is gone. */
function emptied(snapshot: Snapshot): Snapshot {
  const state = { ...(JSON.parse(snapshot.state) as object), lots: [], holds: [] };
  return { ...snapshot, state: JSON.stringify(state) };
}

test('a cold load from snapshot and tail is the fold from the start', async () => {
  const user = await busyAccount();
  const snapshot = await snapshotOf(user);
  await writer.snapshots.write([snapshot]);
  await Promise.all(Array.from({ length: 10 }, () => writer.run(user, use(micro(1)))));

  const events = await historyOf(writer.store, user);
  const folded = events.reduce((state, event) => accountDecider.evolve(state, event), accountDecider.initialState);
  const loaded = await cold((path) => path.account(user));
  expect(loaded.state).toEqual(folded);
  expect(loaded.revision).toBe(events.length - 1);
  expect((await writer.account(user)).state).toEqual(folded);
});

test('a snapshot is what a load starts from', async () => {
  const user = await busyAccount();
  const gone = emptied(await snapshotOf(user));
  await writer.snapshots.write([gone]);
  expect((await cold((path) => path.account(user))).state).toEqual(JSON.parse(gone.state));
});

test('a snapshot is not believed where its hash is not that of the event at its revision', async () => {
  const user = await busyAccount();
  const { state, revision } = await writer.account(user);
  await writer.snapshots.write([{ ...emptied(await snapshotOf(user)), hash: randomBytes(32).toString('base64url') }]);
  expect(await cold((path) => path.account(user))).toMatchObject({ state, revision });
});

test('a snapshot beyond the head is not believed', async () => {
  const user = await busyAccount();
  const { state, revision } = await writer.account(user);
  await writer.snapshots.write([{ ...emptied(await snapshotOf(user)), revision: revision + 5 }]);
  expect(await cold((path) => path.account(user))).toMatchObject({ state, revision });
});

test('a snapshot of another version of the code is not believed', async () => {
  const user = await busyAccount();
  const { state, revision } = await writer.account(user);
  await createSnapshots(raw.pool, SNAPSHOT_VERSION + 1).write([emptied(await snapshotOf(user))]);
  expect(await cold((path) => path.account(user))).toMatchObject({ state, revision });
});

test('a snapshot that is no JSON harms nobody', async () => {
  const [user, other] = [await busyAccount(), await busyAccount()];
  const { state, revision } = await writer.account(user);
  await writer.snapshots.write([{ ...(await snapshotOf(user)), state: '{' }]);
  const [loaded, neighbour] = await cold((path) => Promise.all([path.account(user), path.account(other)]));
  expect(loaded).toMatchObject({ state, revision });
  expect(neighbour).toMatchObject(await writer.account(other));
});

test('a long stream without a snapshot is loaded page by page', async () => {
  const user = randomUUID();
  await writer.run(user, grant({ amount: credits(1) }));
  await Promise.all(Array.from({ length: 1_500 }, () => writer.run(user, use(micro(1)))));
  await Promise.all(Array.from({ length: 1_500 }, () => writer.run(user, use(micro(1)))));
  await raw.pool.query('delete from ledger.snapshots where stream = $1', [accountStream(user)]);
  const loaded = await cold((path) => path.account(user));
  expect(loaded).toMatchObject({ revision: 3_001, state: { balances: { available: micro(credits(1) - 3_000) } } });
});

test('many streams are loaded at once, each as its own', async () => {
  const users = Array.from({ length: 150 }, () => randomUUID());
  await Promise.all(users.map((user, index) => writer.run(user, grant({ amount: micro(index + 1) }))));
  const loaded = await cold((path) => Promise.all(users.map((user) => path.account(user))));
  expect(loaded.map(({ state }) => state.status === 'open' && state.balances.available)).toEqual(
    users.map((_, index) => index + 1),
  );
});

/** Puts an event of a type that this code doesn't know at the end of a user's stream, as a newer process would. */
async function appendUnknown(user: string): Promise<Snapshot> {
  const [head] = await raw.store.readStream(accountStream(user), { direction: 'backward', limit: 1 });
  if (head === undefined) throw new Error('an empty stream');
  const stream = accountStream(user);
  const revision = head.revision + 1;
  const prevHash = head.hash.toString('base64url');
  const metadata = { ...(JSON.parse(head.metadata) as Metadata), claims: [], prevHash };
  const event = seal({ stream, revision, type: 'CreditsTeleported', data: {}, metadata });
  const [result] = await raw.store.append([
    { stream, expectedRevision: head.revision, events: [{ ...event, claims: [], about: [] }], unclaimed: [] },
  ]);
  expect(result?.accepted).toBe(true);
  return { stream, revision, hash: event.hash.toString('base64url'), state: '{"status":"unopened"}' };
}

test('an event that this process is too old for refuses its stream, warm and cold, and no other', async () => {
  const [user, other] = [await busyAccount(), await busyAccount()];
  await appendUnknown(user);
  await expect(writer.run(user, use(micro(1)))).rejects.toThrow(UnreadableEventError);
  await expect(writer.run(user, use(micro(1)))).rejects.toThrow(`${accountStream(user)}@`);
  expect((await writer.run(other, use(micro(1)))).kind).toBe('accepted');
  await cold(async (path) => {
    const [refused, accepted] = await Promise.allSettled([path.run(user, use(micro(1))), path.run(other, use(micro(1)))]);
    expect(refused).toMatchObject({ status: 'rejected', reason: { name: 'UnreadableEventError' } });
    expect(accepted).toMatchObject({ status: 'fulfilled', value: { kind: 'accepted' } });
  });
});

test('a snapshot taken at an event that this process is too old for harms no other stream', async () => {
  const [user, other] = [await busyAccount(), await busyAccount()];
  await writer.snapshots.write([await appendUnknown(user)]);
  await cold(async (path) => {
    const [refused, accepted] = await Promise.allSettled([path.run(user, use(micro(1))), path.run(other, use(micro(1)))]);
    expect(refused).toMatchObject({ status: 'rejected', reason: { name: 'UnreadableEventError' } });
    expect(accepted).toMatchObject({ status: 'fulfilled', value: { kind: 'accepted' } });
  });
});

test('a head more than five seconds ahead of the clock refuses its stream, whatever is asked', async () => {
  const [user, other] = [randomUUID(), randomUUID()];
  await cold((path) => path.run(user, grant({ amount: credits(1) })), START + 5_001);
  await expect(writer.run(user, use(micro(1)))).rejects.toThrow(ClockSkewError);
  await expect(writer.run(user, use(credits(9)))).rejects.toThrow(ClockSkewError);
  expect((await writer.run(other, grant({ amount: credits(1) }))).kind).toBe('accepted');
  expect(await historyOf(writer.store, user)).toHaveLength(2);
});

test('within five seconds time stands still until the clock is there, and never goes back', async () => {
  const user = randomUUID();
  await cold((path) => path.run(user, grant({ amount: credits(1) })), START + 5_000);
  const event = eventOf(await writer.run(user, use(micro(1))));
  expect(event.metadata.at).toBe(iso(START + 5_000));
});
