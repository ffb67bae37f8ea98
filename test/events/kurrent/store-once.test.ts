import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { servicePool } from '../../../src/database.ts';
import { createFactIndex, type Span } from '../../../src/events/kurrent/fact-index.ts';
import type { NewEvent, Store } from '../../../src/events/store.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { openTestStore, type Server, serverForTests } from '../../support/kurrent-store.ts';
import { batchOf, claimOf, type Draft, lastOf, newStream, plain, refusal, stored, written } from '../contract/batches.ts';

/*
 * Once for ever on a server that has no unique keys: the index of claims and links in Postgres may be lost, late, or
 * made anew, and nothing is written twice for it.
 */

let server: Server;
let database: TestDatabase;

beforeAll(async () => {
  [server, database] = await Promise.all([serverForTests(), createTestDatabase()]);
});
afterAll(async () => {
  await database.close();
  await server.close();
});

/** A store as a process of its own would have it. */
async function open(): Promise<Store> {
  const opened = await openTestStore(server.url, database.url);
  onTestFinished(() => opened.close());
  return opened.store;
}

async function withOwn<Result>(work: (store: Store) => Promise<Result>): Promise<Result> {
  const opened = await openTestStore(server.url, database.url);
  try {
    return await work(opened.store);
  } finally {
    await opened.close();
  }
}

/** How far the index knows a stream, -1 where it doesn't. */
async function knownTo(stream: string): Promise<number> {
  const { rows } = await database.superuser.query<{ revision: string }>('select revision from kurrent.streams where name = $1', [
    stream,
  ]);
  return Number(rows[0]?.revision ?? -1);
}

const isKnownTo = (stream: string, revision: number) =>
  vi.waitFor(async () => expect(await knownTo(stream)).toBe(revision), { timeout: 10_000, interval: 20 });

/** While the work goes on nobody can add to the index. */
async function withoutIndexing<Result>(work: () => Promise<Result>): Promise<Result> {
  await database.superuser.query('revoke execute on function kurrent.note from mana_credits_service');
  try {
    return await work();
  } finally {
    await database.superuser.query('grant execute on function kurrent.note to mana_credits_service');
  }
}

const claiming = (name: string): readonly Draft[] => [{}, { claims: [claimOf(name)] }, { about: [0] }];

/** That a store knows what `claiming` has written, and takes no second claim. */
async function expectKnown(store: Store, stream: string, events: readonly NewEvent[], name: string): Promise<void> {
  const next = batchOf(stream, [{ claims: [claimOf(name)] }], lastOf(events));
  expect([...refusal(await store.append([next])).claimed]).toEqual([[claimOf(name), stored(events)[1]]]);
  expect([...(await store.findClaims(stream, [claimOf(name), claimOf('nobody')])).keys()]).toEqual([claimOf(name)]);
  expect((await store.lastAbout(stream, [0])).get(0)).toEqual({ event: stored(events)[0], last: stored(events)[2] });
}

describe('the index of claims and links', () => {
  it('is made behind the log by whoever writes', async () => {
    const stream = newStream();
    await written(await open(), batchOf(stream, claiming('a')));
    await isKnownTo(stream, 2);
  });

  it('lost whole, is read from the streams again by whoever asks', async () => {
    const stream = newStream();
    const events = await withOwn((store) => written(store, batchOf(stream, claiming('a'))));
    expect(await knownTo(stream)).toBe(2);
    await database.superuser.query('truncate kurrent.streams, kurrent.claims, kurrent.links');
    const store = await open();
    await expectKnown(store, stream, events, 'a');
    await isKnownTo(stream, 2);
    await expectKnown(await open(), stream, events, 'a');
  });

  it('late, is completed from the stream, whether its writer lives or not', async () => {
    const stream = newStream();
    await withoutIndexing(async () => {
      const writer = await open();
      const events = await withOwn((store) => written(store, batchOf(stream, claiming('a'))));
      expect(await knownTo(stream)).toBe(-1);
      await expectKnown(writer, stream, events, 'a');
      const more = await written(writer, batchOf(stream, claiming('b'), lastOf(events)));
      const reader = await open();
      const next = batchOf(stream, [{ claims: [claimOf('a')] }], lastOf(more));
      expect([...refusal(await reader.append([next])).claimed.keys()]).toEqual([claimOf('a')]);
      expect([...(await reader.findClaims(stream, [claimOf('a'), claimOf('b')])).keys()]).toEqual([claimOf('a'), claimOf('b')]);
      await written(reader, batchOf(stream, [{ claims: [claimOf('c')] }], lastOf(more)));
      const third = await open();
      expect((await third.findClaims(stream, [claimOf('c')])).size).toBe(1);
    });
    // What could not be written then is, as soon as it can be.
    await withOwn((store) => store.findClaims(stream, [claimOf('a')]));
    await isKnownTo(stream, 6);
  });

  it('behind by more than ten thousand events refuses, catches up by itself, and answers then', { timeout: 60_000 }, async () => {
    const stream = newStream();
    let head: NewEvent | undefined;
    await withoutIndexing(() =>
      withOwn(async (store) => {
        for (let round = 0; round < 11; round += 1) {
          const drafts = round === 0 ? [...claiming('old'), ...plain(997)] : plain(1_000);
          head = lastOf(await written(store, batchOf(stream, drafts, head)));
        }
      }),
    );
    const store = await open();
    const next = batchOf(stream, [{ claims: [claimOf('old')] }], head);
    const [refused] = await store.append([next]);
    expect(refused).toMatchObject({ failed: { name: 'StoreUnavailableError' } });
    await expect(store.findClaims(stream, [claimOf('old')])).rejects.toThrow(/behind the index/);
    await isKnownTo(stream, 10_999);
    expect([...refusal(await store.append([next])).claimed.keys()]).toEqual([claimOf('old')]);
    // A batch that claims nothing was never held up.
    await written(store, batchOf(stream, plain(1), head));
  });

  it('knows nothing of a batch that was refused', async () => {
    const stream = newStream();
    const store = await open();
    const events = await written(store, batchOf(stream, plain(2)));
    refusal(await store.append([batchOf(stream, [{ claims: [claimOf('never')] }], events[0])]));
    await written(store, batchOf(stream, [{ claims: [claimOf('never')] }], events[1]));
    await isKnownTo(stream, 2);
  });
});

describe('spans', () => {
  const span = (stream: string, low: number, high: number, claims: Span['claims'] = [], links: Span['links'] = []): Span => ({
    stream,
    low,
    high,
    claims,
    links,
  });

  it('come twice, overlap and come in any order: nothing moves back, and nothing is passed over', async () => {
    const pool = servicePool(database.url, 'index', 1);
    onTestFinished(() => pool.end());
    const index = createFactIndex(pool);
    const stream = newStream();
    const [a, b, c] = [claimOf('a'), claimOf('b'), claimOf('c')];
    // Something is missing before it: not taken.
    expect(await index.note([span(stream, 3, 5, [[c, 4]])])).toEqual([-1]);
    expect(await index.note([span(stream, -1, 2, [[a, 1]], [[0, 2]])])).toEqual([2]);
    expect(await index.note([span(stream, -1, 2, [[a, 1]], [[0, 2]])])).toEqual([2]);
    expect(await index.note([span(stream, 1, 3, [[b, 3]], [[0, 3]])])).toEqual([3]);
    expect(await index.note([span(stream, -1, 1, [[a, 1]], [[0, 1]])])).toEqual([3]);
    expect(await index.note([span(stream, 3, 5, [[c, 4]])])).toEqual([5]);
    const [known] = await index.find([{ stream, claims: [a, b, c, claimOf('d')], hasTurn: true }]);
    expect(known).toEqual({
      upTo: 5,
      contended: false,
      claimed: new Map([
        [a, 1],
        [b, 3],
        [c, 4],
      ]),
    });
    expect(await index.findLinks(stream, [0, 1])).toEqual({ upTo: 5, last: new Map([[0, 3]]) });
  });

  it('from many processes at once leave every stream known whole', async () => {
    const pool = servicePool(database.url, 'index', 8);
    onTestFinished(() => pool.end());
    const index = createFactIndex(pool);
    const streams = Array.from({ length: 10 }, () => newStream());
    const writers = Array.from({ length: 6 }, async (_, writer) => {
      // Each in an order of its own, so that they would lock each other out in a circle if order were theirs.
      const own = writer % 2 === 0 ? streams : streams.toReversed();
      for (let low = -1; low < 19; low += 2) {
        await index.note(own.map((stream) => span(stream, low, low + 2, [[claimOf(`${low}`), low + 1]])));
      }
    });
    await Promise.all(writers);
    const found = await index.find(streams.map((stream) => ({ stream, claims: [claimOf('-1'), claimOf('17')], hasTurn: true })));
    expect(found.map(({ upTo, claimed }) => [upTo, [...claimed.values()]])).toEqual(streams.map(() => [19, [0, 18]]));
  });

  it("can't be changed or removed by the service's role", async () => {
    const pool = servicePool(database.url, 'index', 1);
    onTestFinished(() => pool.end());
    for (const statement of [
      'delete from kurrent.claims',
      'update kurrent.streams set revision = -1',
      'truncate kurrent.links',
    ]) {
      await expect(pool.query(statement)).rejects.toMatchObject({ code: '42501' });
    }
  });
});

describe('two processes that race for one claim', () => {
  it('have one winner, and the other learns who it is', async () => {
    const [one, other] = [await open(), await open()];
    for (let round = 0; round < 20; round += 1) {
      const stream = newStream();
      const base = await written(one, batchOf(stream, plain(1)));
      const claim = claimOf(`race ${round}`);
      const batches = ['one', 'other'].map((data) => batchOf(stream, [{ data: { data }, claims: [claim] }], lastOf(base)));
      const results = await Promise.all([one, other].map((store, place) => store.append(batches.slice(place, place + 1))));
      const [first = [], second = []] = results;
      const winner = first[0]?.accepted === true ? 0 : 1;
      expect([first[0]?.accepted, second[0]?.accepted].filter((accepted) => accepted === true)).toHaveLength(1);
      const { claimed } = refusal(winner === 0 ? second : first);
      expect([...claimed]).toEqual([[claim, stored(batches[winner]?.events ?? [])[0]]]);
      expect(await one.readStream(stream, { limit: 10 })).toHaveLength(2);
    }
  });

  it('have one winner however far apart their heads are', async () => {
    const [one, other] = [await open(), await open()];
    const stream = newStream();
    const base = await written(one, batchOf(stream, plain(1)));
    const claim = claimOf('late');
    const events = await written(one, batchOf(stream, [{ claims: [claim] }, {}], lastOf(base)));
    // Behind the winner's event, and on the head that both know.
    refusal(await other.append([batchOf(stream, [{ claims: [claim] }], lastOf(base))]));
    refusal(await other.append([batchOf(stream, [{ claims: [claim] }], lastOf(events))]));
    expect(await one.readStream(stream, { limit: 10 })).toHaveLength(3);
  });
});
