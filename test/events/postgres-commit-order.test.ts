import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { servicePool } from '../../src/database.ts';
import { createPostgresStore } from '../../src/events/postgres/store.ts';
import { type NewEvent, START, type Store } from '../../src/events/store.ts';
import { createTestDatabase, type TestDatabase, type TestStore, testStore } from '../support/database.ts';
import { batchOf, lastOf, newStream, plain, readToEnd, stored, written } from './contract/batches.ts';
import { followed } from './contract/subscriptions.ts';
import { holdHead, holdPositions, untilStuck } from './postgres-locks.ts';

/* A reader never passes over an event that commits late: positions are given in the order of commits, without gaps. */

let database: TestDatabase;
let test: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  test = testStore(database.url);
});

afterAll(async () => {
  // In every test of this file: nothing is missing between the first position and the last.
  const positions = (await readToEnd(test.store, START, 1_000)).map(({ position }) => position);
  expect(positions).toEqual(positions.map((_, index) => String(index + 1)));
  await test.close();
  await database.close();
});

function opened(name: string): TestStore {
  const own = testStore(database.url, name);
  onTestFinished(() => own.close());
  return own;
}

/** A store on a single connection, so that its appends can stand in a transaction made by hand. */
function byHand(name: string): { store: Store; query: (text: string) => Promise<unknown> } {
  const pool = servicePool(database.url, name, 1);
  onTestFinished(() => pool.end());
  const store = createPostgresStore({ pool, makeClient: () => new pg.Client() });
  return { store, query: (text) => pool.query(text) };
}

/** One more connection of the superuser, for a lock of its own. */
async function connected(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

it('begins at the first position', async () => {
  expect(await test.store.lastPosition()).toBe(START);
  const events = await written(test.store, batchOf(newStream(), plain(2)));
  expect(await test.store.readAll({ after: START, limit: 10 })).toMatchObject(stored(events));
  expect(await test.store.lastPosition()).toBe('2');
});

describe('an append that is stuck', () => {
  it('on a held head row lets others pass, and comes behind them when it commits', async () => {
    const { store: slow } = opened('slow');
    const [stream, other] = [newStream(), newStream()];
    const head = lastOf(await written(test.store, batchOf(stream, plain(1))));
    const start = await test.store.lastPosition();
    const release = await holdHead(await connected(), stream);
    const late = batchOf(stream, plain(2), head);
    const appending = slow.append([late]);
    await untilStuck(database.superuser, 'slow');
    const passing = await written(test.store, batchOf(other, plain(3)));
    const reader = followed(test.store, start);
    expect(await reader.until(3)).toEqual(passing.map(({ id }) => id));
    await release();
    expect(await appending).toEqual([{ accepted: true, revision: 2 }]);
    expect(await reader.until(5)).toEqual([...passing, ...late.events].map(({ id }) => id));
  });

  it('before its commit holds later ones back, and they come behind it', async () => {
    const hand = byHand('hand');
    const { store: later } = opened('later');
    const start = await test.store.lastPosition();
    const early = batchOf(newStream(), plain(2));
    await hand.query('begin');
    await written(hand.store, early);
    const batches = [batchOf(newStream(), plain(1)), batchOf(newStream(), plain(1))];
    const appending = Promise.all(batches.map((batch) => later.append([batch])));
    await untilStuck(database.superuser, 'later', 2);
    // Nothing is committed, so nothing is to be seen, least of all what would come behind it.
    expect(await test.store.readAll({ after: start, limit: 10 })).toEqual([]);
    await hand.query('commit');
    expect((await appending).flat()).toEqual([
      { accepted: true, revision: 0 },
      { accepted: true, revision: 0 },
    ]);
    const all = await test.store.readAll({ after: start, limit: 10 });
    expect(all.slice(0, 2)).toMatchObject(stored(early.events));
    expect(new Set(all.slice(2).map(({ stream }) => stream))).toEqual(new Set(batches.map(({ stream }) => stream)));
  });
});

describe('an append that was stuck', () => {
  it('and is then rolled back leaves no gap behind', async () => {
    const hand = byHand('hand');
    const { store: later } = opened('later');
    const start = await test.store.lastPosition();
    const lost = batchOf(newStream(), plain(3));
    await hand.query('begin');
    await written(hand.store, lost);
    const batch = batchOf(newStream(), plain(2));
    const appending = later.append([batch]);
    await untilStuck(database.superuser, 'later');
    await hand.query('rollback');
    expect(await appending).toEqual([{ accepted: true, revision: 1 }]);
    const all = await test.store.readAll({ after: start, limit: 10 });
    expect(all).toMatchObject(stored(batch.events));
    expect(all.map(({ position }) => Number(position) - Number(start))).toEqual([1, 2]);
    // What was rolled back may come again, as it was.
    expect(await hand.store.append([lost])).toEqual([{ accepted: true, revision: 2 }]);
  });

  it('together with all others on the position lock is read once they go on', async () => {
    const names = ['one', 'two', 'three'];
    const start = await test.store.lastPosition();
    const reader = followed(test.store, start);
    const release = await holdPositions(await connected());
    const batches = names.map(() => batchOf(newStream(), plain(2)));
    const appending = Promise.all(batches.map((batch, index) => opened(names[index] ?? '').store.append([batch])));
    for (const name of names) await untilStuck(database.superuser, name);
    expect(await test.store.readAll({ after: start, limit: 10 })).toEqual([]);
    await release();
    await appending;
    const ids = batches.flatMap(({ events }) => events.map(({ id }) => id));
    expect(new Set(await reader.until(6))).toEqual(new Set(ids));
  });
});

describe('many writers, some of whom give up and some of whom get stuck', () => {
  const ROUNDS = 40;

  async function writing(name: string): Promise<readonly string[]> {
    const { store } = opened(name);
    const ids: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const group = [batchOf(newStream('z'), plain(1)), batchOf(newStream('a'), plain((round % 3) + 1))];
      await store.append(group);
      ids.push(...group.flatMap(({ events }) => events.map(({ id }) => id)));
    }
    return ids;
  }

  /** Every second transaction is rolled back. */
  async function wavering(name: string): Promise<readonly string[]> {
    const hand = byHand(name);
    const ids: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await hand.query('begin');
      const events = await written(hand.store, batchOf(newStream(), plain(2)));
      await hand.query(round % 2 === 0 ? 'rollback' : 'commit');
      if (round % 2 === 1) ids.push(...events.map(({ id }) => id));
    }
    return ids;
  }

  /** Its stream is held by somebody else at every append, until the log has gone on without it. */
  async function hindered(name: string): Promise<readonly string[]> {
    const { store } = opened(name);
    const holder = await connected();
    const stream = newStream();
    const events = [...(await written(store, batchOf(stream, plain(1))))];
    const passing: NewEvent[] = [];
    for (let round = 0; round < 8; round += 1) {
      const release = await holdHead(holder, stream);
      const batch = batchOf(stream, plain(1), lastOf(events));
      const appending = store.append([batch]);
      await untilStuck(database.superuser, name);
      passing.push(...(await written(test.store, batchOf(newStream('passing'), plain(1)))));
      await release();
      expect(await appending).toEqual([{ accepted: true, revision: round + 1 }]);
      events.push(...batch.events);
    }
    return [...events, ...passing].map(({ id }) => id);
  }

  it('are read each once, in order, by who polls and by who follows', async () => {
    const start = await test.store.lastPosition();
    const follower = followed(opened('follower').store, start, 10);
    const work = Promise.all([writing('w1'), writing('w2'), wavering('v1'), wavering('v2'), hindered('h1')]);
    // Two writers of 2 to 4 events a round, half of two waverers' 2 a round, and one and its passers-by.
    const total = 2 * 119 + 2 * ROUNDS + 17;
    const polled: number[] = [];
    const seen: string[] = [];
    for (let position = start; seen.length < total; ) {
      const page = await test.store.readAll({ after: position, limit: 10 });
      position = page.at(-1)?.position ?? position;
      polled.push(...page.map((event) => Number(event.position)));
      seen.push(...page.map(({ id }) => id));
    }
    const made = (await work).flat();
    expect(made).toHaveLength(total);
    expect(new Set(seen)).toEqual(new Set(made));
    expect(polled).toEqual(made.map((_, index) => Number(start) + index + 1));
    expect(await follower.until(total)).toEqual(seen);
  });
});

it('never waits in a circle where groups name the same streams in another order', async () => {
  const names = Array.from({ length: 12 }, () => newStream());
  const heads = new Map<string, NewEvent>();
  const { store } = opened('crossing');
  for (let round = 0; round < 10; round += 1) {
    // Of these, each stream takes one batch and refuses the others; an error would say that the groups got stuck.
    const groups = [names, names.toReversed(), names.toSorted(), names.toSorted().toReversed()].map((order) =>
      order.map((stream) => batchOf(stream, plain(1), heads.get(stream))),
    );
    const results = await Promise.all(groups.map((group) => store.append(group)));
    groups.forEach((group, which) =>
      group.forEach(({ stream, events }, index) => {
        if (results[which]?.[index]?.accepted === true) heads.set(stream, lastOf(events));
      }),
    );
    expect(names.map((stream) => heads.get(stream)?.revision)).toEqual(names.map(() => round));
    expect(results.flat().filter(({ accepted }) => accepted)).toHaveLength(names.length);
  }
});
