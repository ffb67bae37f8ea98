import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { servicePool } from '../../src/database.ts';
import { createPostgresStore } from '../../src/events/postgres/store.ts';
import { NO_STREAM, OutcomeUnknownError, type Store, StoreUnavailableError } from '../../src/events/store.ts';
import { createTestDatabase, type TestDatabase, type TestStore, testStore } from '../support/database.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';
import { batchOf, newStream, plain, sealed, stored, written } from './contract/batches.ts';
import { holdPositions, untilStuck } from './postgres-locks.ts';

/* What a writer is told when Postgres doesn't do as asked: whether anything was written, as far as that is known. */

let database: TestDatabase;
let test: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  test = testStore(database.url);
});

afterAll(async () => {
  await test.close();
  await database.close();
});

/** Another store for one test. */
function opened(url: string, name: string): TestStore {
  const own = testStore(url, name);
  onTestFinished(() => own.close());
  return own;
}

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => {
      throw new Error('it succeeded');
    },
    (error: unknown) => error,
  );
}

describe('a lost connection', () => {
  it('while the append waits leaves the outcome unknown, and the store works on', async () => {
    const { store } = opened(database.url, 'killed');
    const stream = newStream();
    const release = await holdPositions(database.superuser);
    const failing = errorOf(store.append([batchOf(stream, plain(2))]));
    const [pid] = await untilStuck(database.superuser, 'killed');
    await database.superuser.query('select pg_terminate_backend($1)', [pid]);
    expect(await failing).toBeInstanceOf(OutcomeUnknownError);
    await release();
    expect(await store.readStream(stream, { limit: 10 })).toEqual([]);
    const again = batchOf(stream, plain(1));
    expect(await store.append([again])).toEqual([{ accepted: true, revision: 0 }]);
  });

  it('after the commit leaves the outcome unknown, and the events are there', async () => {
    const proxy = await tcpProxy(database.url);
    const { store, close } = testStore(proxy.url, 'cut');
    onTestFinished(async () => {
      await close();
      await proxy.close();
    });
    const stream = newStream();
    const first = await written(store, batchOf(newStream(), plain(1)));
    const batch = batchOf(stream, plain(2));
    const cut = proxy.cutAtNextAnswer();
    expect(await errorOf(store.append([batch]))).toBeInstanceOf(OutcomeUnknownError);
    await cut;
    expect(await test.store.readStream(stream, { limit: 10 })).toEqual(stored(batch.events));
    expect(await store.readStream(first[0]?.stream ?? '', { limit: 10 })).toEqual(stored(first));
  });
});

describe('a group with something that Postgres can not store', () => {
  const poisons: readonly (readonly [string, () => ReturnType<typeof batchOf>])[] = [
    ['a zero byte in the name of a stream', () => batchOf(`${newStream()}\u0000`, plain(1))],
    [
      'a zero byte in the text of an event',
      () => {
        const batch = batchOf(newStream(), plain(1));
        return { ...batch, events: batch.events.map((event) => ({ ...event, data: '"\u0000"' })) };
      },
    ],
    [
      'two events of one revision',
      () => {
        const stream = newStream();
        return {
          stream,
          expectedRevision: NO_STREAM,
          events: [...sealed(stream, plain(1)), ...sealed(stream, plain(1))],
          unclaimed: [],
        };
      },
    ],
    ['one claim twice', () => batchOf(newStream(), [{ claims: ['YQ'] }, { claims: ['YQ'] }])],
  ];

  it.each(poisons)('throws a plain error for %s, and writes nothing of the group', async (_, poison) => {
    const [good, bad] = [batchOf(newStream(), plain(2)), poison()];
    const error = await errorOf(test.store.append([good, bad]));
    expect(error).not.toBeInstanceOf(OutcomeUnknownError);
    expect(error).not.toBeInstanceOf(StoreUnavailableError);
    expect(await test.store.readStream(good.stream, { limit: 1 })).toEqual([]);
    expect(await test.store.append([good])).toEqual([{ accepted: true, revision: 1 }]);
  });

  it('throws a plain error for an event id that stands elsewhere', async () => {
    const [event] = await written(test.store, batchOf(newStream(), plain(1)));
    const good = batchOf(newStream(), plain(1));
    const bad = batchOf(newStream(), plain(1));
    const thief = { ...bad, events: bad.events.map((own) => ({ ...own, id: event?.id ?? '' })) };
    await expect(test.store.append([good, thief])).rejects.toThrow(/events_id/);
    for (const { stream } of [good, thief]) expect(await test.store.readStream(stream, { limit: 1 })).toEqual([]);
  });
});

describe('a store that can not answer', () => {
  it('says that nothing was written when a statement takes too long', async () => {
    const pool = servicePool(database.url, 'slow', 1);
    onTestFinished(() => pool.end());
    const store = createPostgresStore({ pool, makeClient: () => database.superuser });
    await pool.query('set statement_timeout = 150');
    const release = await holdPositions(database.superuser);
    const batch = batchOf(newStream(), plain(1));
    expect(await errorOf(store.append([batch]))).toBeInstanceOf(StoreUnavailableError);
    await release();
    expect(await store.readStream(batch.stream, { limit: 1 })).toEqual([]);
    expect(await store.append([batch])).toEqual([{ accepted: true, revision: 0 }]);
  });

  const calls: readonly (readonly [string, (store: Store) => Promise<unknown>])[] = [
    ['append', (store) => store.append([batchOf(newStream(), plain(1))])],
    ['readStream', (store) => store.readStream('any', { limit: 1 })],
    ['readStreams', (store) => store.readStreams([{ stream: 'any', from: 0, to: 1 }])],
    ['readAll', (store) => store.readAll({ after: '0', limit: 1 })],
    ['findClaims', (store) => store.findClaims('any', ['YQ'])],
    ['lastAbout', (store) => store.lastAbout('any', [0])],
    ['lastPosition', (store) => store.lastPosition()],
  ];

  it.each(calls)('says so where there is no server: %s', async (_, call) => {
    const { store } = opened(await urlOfNobody(), 'nobody');
    expect(await errorOf(call(store))).toBeInstanceOf(StoreUnavailableError);
  });

  it('does not say that nothing was written when only its conflicts can not be read back', async () => {
    const stream = newStream();
    await written(test.store, batchOf(stream, plain(1)));
    const mute = Object.create(test.pool, { query: { value: () => Promise.reject(new Error('gone')) } }) as pg.Pool;
    const store = createPostgresStore({ pool: mute, makeClient: () => database.superuser });
    const good = batchOf(newStream(), plain(1));
    const answer = await store.append([good, batchOf(stream, plain(1))]).catch((error: unknown) => error);
    expect(await test.store.readStream(good.stream, { limit: 1 })).toEqual(stored(good.events));
    expect(answer).not.toBeInstanceOf(StoreUnavailableError);
  });
});

/** A URL at whose port nobody listens any more. */
async function urlOfNobody(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(database.url);
  url.port = String((server.address() as AddressInfo).port);
  server.close();
  await once(server, 'close');
  return url.href;
}
