import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { servicePool } from '../../src/database.ts';
import { createStreamLocks } from '../../src/events/postgres/stream-locks.ts';
import { createTestDatabase, type TestDatabase, type TestStore, testStore } from '../support/database.ts';
import { batchOf, lastOf, newStream, plain, refusal, stored, written } from './contract/batches.ts';

/* Turns on a stream, for fairness between writers of several processes. */

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

/** The turns of a process of its own, which has so many connections for them. */
function turns(name: string, connections = 2) {
  const pool = servicePool(database.url, name, connections);
  onTestFinished(() => pool.end());
  return createStreamLocks(pool);
}

/** Takes a turn that must be had. */
async function taken(locks: ReturnType<typeof turns>, stream: string): Promise<() => void> {
  const release = await locks.acquire(stream);
  if (release === undefined) throw new Error(`no turn on ${stream}`);
  return release;
}

it('refuse whoever has none, and let in whoever has it', async () => {
  const stream = newStream();
  const events = await written(test.store, batchOf(stream, plain(1)));
  const release = await taken(turns('holder'), stream);
  const next = batchOf(stream, plain(1), lastOf(events));
  expect(refusal(await test.store.append([next]))).toMatchObject({ contended: true, missing: [] });
  expect(await test.store.append([{ ...next, hasTurn: true }])).toEqual([{ accepted: true, revision: 1 }]);
  release();
  const last = batchOf(stream, plain(1), lastOf(next.events));
  // The turn is given back on its way, and nobody waits for that.
  await vi.waitFor(async () => expect(await test.store.append([last])).toEqual([{ accepted: true, revision: 2 }]));
});

it('bring the missing events back to whoever is refused', async () => {
  const stream = newStream();
  const events = await written(test.store, batchOf(stream, plain(3)));
  const release = await taken(turns('holder'), stream);
  const { contended, missing } = refusal(await test.store.append([batchOf(stream, plain(1), events[0])]));
  expect({ contended, missing }).toEqual({ contended: true, missing: stored(events.slice(1)) });
  release();
});

it('count for their own stream alone', async () => {
  const [stream, other] = [newStream(), newStream()];
  const release = await taken(turns('holder'), stream);
  const group = [batchOf(stream, plain(1)), batchOf(other, plain(2))];
  const results = await test.store.append(group);
  expect(results.map(({ accepted }) => accepted)).toEqual([false, true]);
  expect(await test.store.readStream(stream, { limit: 1 })).toEqual([]);
  expect(await test.store.readStream(other, { limit: 5 })).toEqual(stored(group[1]?.events ?? []));
  release();
});

it('are had by one at a time', async () => {
  const stream = newStream();
  const first = await taken(turns('first'), stream);
  const order: string[] = [];
  const second = taken(turns('second'), stream).then((release) => {
    order.push('second has it');
    return release;
  });
  await vi.waitFor(async () => {
    const { rowCount } = await database.superuser.query(
      `select from pg_stat_activity where application_name = 'mana-credits second' and wait_event_type = 'Lock'`,
    );
    expect(rowCount).toBe(1);
  });
  order.push('first gives it back');
  first();
  (await second)();
  expect(order).toEqual(['first gives it back', 'second has it']);
});

it('are gone without where they are not to be had in time, or at all', async () => {
  const stream = newStream();
  const release = await taken(turns('holder'), stream);
  expect(await turns('late').acquire(stream)).toBeUndefined();
  release();
  const nowhere = new URL(database.url);
  nowhere.port = '1';
  const pool = servicePool(nowhere.href, 'nowhere', 1);
  onTestFinished(() => pool.end());
  expect(await createStreamLocks(pool).acquire(stream)).toBeUndefined();
});

it('end soon with a machine that is gone: Postgres looks whether the other end of a connection is there', async () => {
  const pool = servicePool(database.url, 'probed', 1);
  onTestFinished(() => pool.end());
  const { rows } = await pool.query<{ seconds: number }>(
    `select current_setting('tcp_keepalives_idle')::int
      + current_setting('tcp_keepalives_interval')::int * current_setting('tcp_keepalives_count')::int as seconds`,
  );
  expect(rows).toEqual([{ seconds: 60 }]);
});
