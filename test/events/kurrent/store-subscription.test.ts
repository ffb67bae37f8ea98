import { setTimeout as delay } from 'node:timers/promises';
import { EventStoreDBClient } from '@eventstore/db-client';
import { describe, expect, it } from 'vitest';
import { StreamGoneError } from '../../../src/events/store.ts';
import { createTestDatabase } from '../../support/database.ts';
import { openTestStore, useDouble } from '../../support/kurrent-store.ts';
import { batchOf, lastOf, newStream, plain, written } from '../contract/batches.ts';
import { followed } from '../contract/subscriptions.ts';

/* Following the log through everything that ends a subscription on the way. */

const on = useDouble();
const server = () => on.server;
const store = () => on.store;

/** Writes so many events, a few at a time, while `meddle` does what it does before each. Returns their ids. */
async function writeWhile(
  rounds: number,
  each: number,
  meddle: (round: number) => Promise<void> | void,
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let round = 0; round < rounds; round += 1) {
    await meddle(round);
    const events = await written(store(), batchOf(newStream(), plain(each)));
    ids.push(...events.map(({ id }) => id));
  }
  return ids;
}

describe('a subscription goes on, and gives every event once and in order,', () => {
  it('however often the server drops it as too slow', { timeout: 60_000 }, async () => {
    const reader = followed(store(), await store().lastPosition(), 50);
    server().faults.tooSlow(15);
    const ids = await writeWhile(30, 3, () => undefined);
    expect(await reader.until(90)).toEqual(ids);
  });

  it('where bursts overflow what the server keeps for a live reader that rests', { timeout: 60_000 }, async () => {
    const reader = followed(store(), await store().lastPosition(), 50);
    server().faults.liveBuffer = 2;
    const [first] = await Promise.all([writeWhile(3, 1, () => undefined), reader.until(3)]);
    const burst = await writeWhile(2, 400, () => undefined);
    await delay(100);
    expect(await reader.until(803)).toEqual([...first, ...burst]);
  });

  it('where the server ends it without a word', { timeout: 60_000 }, async () => {
    const reader = followed(store(), await store().lastPosition());
    const reading = reader.until(24);
    const ids = await writeWhile(12, 2, () => void server().faults.endSubscriptions());
    expect(await reading).toEqual(ids);
  });

  it('where its connection breaks after every few events', { timeout: 60_000 }, async () => {
    const start = await store().lastPosition();
    const ids = await writeWhile(10, 3, () => undefined);
    server().faults.cut(4, { operations: ['subscribe'], times: 5 });
    expect(await followed(store(), start).until(30)).toEqual(ids);
  });

  it('through restarts of the server', { timeout: 60_000 }, async () => {
    const reader = followed(store(), await store().lastPosition());
    const reading = reader.until(6);
    const ids = await writeWhile(3, 2, async () => {
      await server().stop();
      await server().start();
      await untilWritable();
    });
    expect(await reading).toEqual(ids);
  });

  it('where the server accepts it and never says anything', { timeout: 60_000 }, async () => {
    server().faults.hang({ operations: ['subscribe'], times: 1 });
    const reader = followed(store(), await store().lastPosition());
    const reading = reader.until(6);
    const ids = await writeWhile(3, 2, () => undefined);
    expect(await reading).toEqual(ids);
  });
});

/** The client finds a server that was away again by itself; what it was asked for in between is refused. */
async function untilWritable(): Promise<void> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const answered = await store()
      .lastPosition()
      .then(
        () => true,
        () => false,
      );
    if (answered) return;
    await delay(100);
  }
  throw new Error('the server did not come back');
}

describe("what isn't the ledger's", () => {
  it('is neither followed nor read', { timeout: 60_000 }, async () => {
    const start = await store().lastPosition();
    const other = await createTestDatabase();
    const neighbour = await openTestStore(server().url, other.url);
    const theirs = await written(neighbour.store, batchOf(newStream(), plain(40)));
    const ours = await written(store(), batchOf(newStream(), plain(2)));
    const ids = ours.map(({ id }) => id);
    expect(await followed(store(), start).until(2)).toEqual(ids);
    expect((await store().readAll({ after: start, limit: 10 })).map(({ id }) => id)).toEqual(ids);
    expect(await store().lastPosition()).toBe(lastOf(await store().readAll({ after: start, limit: 10 })).position);
    expect((await neighbour.store.readAll({ after: start, limit: 100 })).map(({ id }) => id)).toEqual(theirs.map(({ id }) => id));
    await neighbour.close();
    await other.close();
  });
});

describe('a stream that somebody has deleted on the server', () => {
  it('stops nobody who follows the log: what the server writes of it is no event', async () => {
    const start = await store().lastPosition();
    const gone = newStream();
    const first = await written(store(), batchOf(gone, plain(1)));
    const client = EventStoreDBClient.connectionString(server().url);
    try {
      await client.tombstoneStream(`${new URL(on.database.url).pathname.slice(1)}.${gone}`);
    } finally {
      await client.dispose();
    }
    const later = await written(store(), batchOf(newStream(), plain(1)));
    const ids = [...first, ...later].map(({ id }) => id);
    expect(await followed(store(), start).until(2)).toEqual(ids);
    expect((await store().readAll({ after: start, limit: 10 })).map(({ id }) => id)).toEqual(ids);
    await expect(store().readStream(gone, { from: 1, limit: 1 })).rejects.toBeInstanceOf(StreamGoneError);
  });
});

describe('positions', () => {
  it('are strings, since they go beyond what a number holds exactly', async () => {
    await written(store(), batchOf(newStream(), plain(1)));
    const position = await store().lastPosition();
    expect(BigInt(position)).toBeGreaterThan(BigInt(Number.MAX_SAFE_INTEGER));
  });
});
