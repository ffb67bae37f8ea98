import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { AccountCommand } from '../../../src/commands/account-decider.ts';
import { accountStream } from '../../../src/events/account-events.ts';
import { micro, ZERO } from '../../../src/events/amounts.ts';
import { StoreUnavailableError } from '../../../src/events/store.ts';
import { commit, credits, grant, reserve, START, use } from '../../support/account-samples.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { type Fault, type FaultyStore, faultyStore } from '../../support/faulty-store.ts';
import { envelopeOf } from '../../support/random-commands.ts';
import { eventOf, historyOf, openWritePath, type WritePath } from '../../support/write-path.ts';

/** What a write path makes of a store whose answers don't come, or say that it is away. */
let database: TestDatabase;
let path: WritePath;
let faulty: FaultyStore;
let now = START;
/** What time it is once a batch was sent, where that is to be later. */
let afterSending: number | undefined;

beforeAll(async () => {
  database = await createTestDatabase();
  faulty = faultyStore();
  path = await openWritePath(database.url, {
    before: faulty.before,
    now: () => (faulty.appends.length > 0 ? (afterSending ?? now) : now),
  });
});

afterAll(async () => {
  await path?.close();
  await database?.close();
});

let user = '';
beforeEach(async () => {
  user = randomUUID();
  await path.run(user, grant({ amount: credits(100) }));
  faulty.appends.length = 0;
});

const LOST: readonly Fault[] = ['answer lost', 'call lost', 'late'];

test.each(LOST)('%s: the command is answered as if nothing had been, and is in the log once', async (fault) => {
  faulty.faults.push(fault);
  const outcome = await path.run(user, use(credits(30)));
  expect(outcome).toMatchObject({ kind: 'accepted', replayed: false });
  const events = await historyOf(path.store, user);
  expect(events).toHaveLength(3);
  expect(events[2]).toEqual(eventOf(outcome));
  expect(events[2]?.data.after).toMatchObject({ available: credits(70), spent: credits(30) });
  expect(faulty.appends.length).toBeGreaterThan(1);
});

test.each(LOST)('%s: of many commands in one batch each is answered as its own, once', async (fault) => {
  faulty.faults.push(fault);
  const outcomes = await Promise.all([
    ...Array.from({ length: 20 }, () => path.run(user, use(credits(4)))),
    path.run(user, use(credits(21))),
    ...Array.from({ length: 5 }, () => path.run(user, use(credits(4)))),
  ]);
  expect(outcomes.filter(({ kind }) => kind === 'accepted')).toHaveLength(25);
  expect(outcomes[20]).toMatchObject({ kind: 'rejected', rejection: { required: credits(21) } });
  expect(outcomes.every((outcome) => outcome.kind !== 'accepted' || !outcome.replayed)).toBe(true);
  const answered = outcomes.flatMap((outcome) => (outcome.kind === 'accepted' ? [outcome.event.id] : []));
  const written = (await historyOf(path.store, user)).slice(2);
  expect(written.map(({ id }) => id)).toEqual(answered);
  expect(written.at(-1)?.data.after.available).toBe(ZERO);
});

test.each(LOST)('%s: time that passed is written down once', async (fault) => {
  await path.run(user, reserve({ amount: credits(5), ttl: 60_000 }));
  now += 60_000;
  faulty.faults.push(fault);
  await path.run(user, use(credits(1)));
  const events = await historyOf(path.store, user);
  expect(events.map(({ type }) => type)).toEqual([
    'AccountOpened',
    'CreditsGranted',
    'CreditsReserved',
    'Expired',
    'CreditsConsumed',
  ]);
});

test.each(LOST)(
  '%s: what then waits for the next batch is done once, though nobody but this process knows its key',
  async (fault) => {
    const { revision } = eventOf(await path.run(user, reserve({ amount: credits(10), ttl: 60_000 })));
    const runOwn = (command: AccountCommand) => {
      const name = randomUUID();
      const envelope = envelopeOf(accountStream(user), command, { app: 'writer', key: name, commandId: name });
      return path.execute({ ...envelope, key: envelope.key && { ...envelope.key, isOwn: true } });
    };
    faulty.appends.length = 0;
    faulty.faults.push(fault);
    // The hold runs out meanwhile: decided again, its commit has to wait for what says so, and all behind it with it.
    afterSending = now + 60_000;
    const outcomes = await Promise.all([runOwn(use(credits(1))), runOwn(commit(revision, credits(10))), runOwn(use(credits(5)))]);
    now = afterSending;
    afterSending = undefined;
    expect(outcomes.map(({ kind }) => kind)).toEqual(['accepted', 'accepted', 'accepted']);
    const events = await historyOf(path.store, user);
    expect(events.filter(({ type }) => type === 'CreditsConsumed')).toEqual(outcomes.map(eventOf));
    expect(events.at(-1)?.data.after).toMatchObject({ available: credits(84), spent: credits(16) });
  },
);

test('three answers lost one after the other are no more than one', async () => {
  const { revision } = eventOf(await path.run(user, reserve({ amount: credits(10) })));
  faulty.faults.push('answer lost', 'call lost', 'answer lost');
  const outcome = await path.run(user, commit(revision, credits(7)));
  expect(outcome).toMatchObject({ kind: 'accepted', replayed: false });
  expect(await historyOf(path.store, user)).toHaveLength(4);
});

test('a replay whose confirmation was lost is still a replay', async () => {
  const first = eventOf(await path.run(user, use(credits(1)), { key: 'k' }));
  faulty.faults.push('answer lost');
  expect(await path.run(user, use(credits(1)), { key: 'k' })).toEqual({ kind: 'accepted', event: first, replayed: true });
});

test('where the store is away the command is refused at once, and nothing is spent', async () => {
  faulty.down = true;
  const before = await historyOf(path.store, user);
  await expect(path.run(user, use(credits(1)), { key: 'k' })).rejects.toThrow(StoreUnavailableError);
  // Neither a refusal nor a repeat is given on what was known before.
  await expect(path.run(user, use(credits(1_000)))).rejects.toThrow(StoreUnavailableError);
  await expect(path.run(user, grant({ amount: credits(100) }))).rejects.toThrow(StoreUnavailableError);
  await expect(path.run(randomUUID(), use(credits(1)))).rejects.toThrow(StoreUnavailableError);
  await expect(path.account(user)).rejects.toThrow(StoreUnavailableError);
  expect(await historyOf(path.store, user)).toEqual(before);

  faulty.down = false;
  expect(await path.run(user, use(credits(1)), { key: 'k' })).toMatchObject({ kind: 'accepted', replayed: false });
  expect(await path.run(user, use(credits(1)), { key: 'k' })).toMatchObject({ kind: 'accepted', replayed: true });
});

test('where the store goes away in the middle the outcome is left open, and the same key finds it', async () => {
  faulty.faults.push('answer lost');
  const command = path.run(user, use(credits(1)), { key: 'k' });
  const refused = expect(command).rejects.toThrow(StoreUnavailableError);
  // Held until the append is on its way: the store goes away behind it.
  await appended(1);
  faulty.down = true;
  await refused;
  faulty.down = false;
  expect(await path.run(user, use(credits(1)), { key: 'k' })).toMatchObject({ kind: 'accepted', replayed: true });
  expect(await historyOf(path.store, user)).toHaveLength(3);
});

test('what waits behind a doubtful batch is decided after it', async () => {
  faulty.faults.push('call lost');
  const first = path.run(user, use(credits(60)));
  await appended(1);
  const second = path.run(user, use(credits(60)));
  expect(eventOf(await first).revision).toBe(2);
  expect(await second).toMatchObject({ kind: 'rejected', rejection: { available: credits(40) } });
});

/** Resolves when so many appends were sent. */
async function appended(count: number): Promise<void> {
  while (faulty.appends.length < count) await new Promise(setImmediate);
}

test('other accounts go on while one is in doubt', async () => {
  const other = randomUUID();
  await path.run(other, grant({ amount: micro(5) }));
  faulty.faults.push('call lost');
  const doubtful = path.run(user, use(credits(1)));
  await appended(1);
  expect((await path.run(other, use(micro(5)))).kind).toBe('accepted');
  expect((await doubtful).kind).toBe('accepted');
});

test.each(LOST)('%s: a hold that ran out is settled once, however many settle it in one batch', async (fault) => {
  const hold = eventOf(await path.run(user, reserve({ amount: credits(5), ttl: 60_000 })));
  now += 60_000;
  await path.run(user, use(credits(1)));
  faulty.faults.push(fault);
  const settling = Array.from({ length: 3 }, () => path.run(user, commit(hold.revision, credits(5))));
  const outcomes = await Promise.all(settling);
  const consumed = (await historyOf(path.store, user)).filter(
    ({ type, data }) => type === 'CreditsConsumed' && 'reservation' in data && data.reservation === hold.revision,
  );
  expect(consumed).toHaveLength(1);
  expect(outcomes.map((outcome) => eventOf(outcome).id)).toEqual(Array.from({ length: 3 }, () => consumed[0]?.id));
  expect(consumed[0]?.data.after).toMatchObject({ available: credits(94) });
});
