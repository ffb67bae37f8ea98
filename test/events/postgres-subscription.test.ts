import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { createTestDatabase, type TestDatabase, type TestStore, testStore } from '../support/database.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';
import { batchOf, newStream, plain, written } from './contract/batches.ts';
import { followed } from './contract/subscriptions.ts';
import { terminate } from './postgres-locks.ts';

/* A subscription goes on whatever happens to its connections: nothing is lost, nothing comes twice. */

let database: TestDatabase;
let test: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  test = testStore(database.url, 'writer');
});

afterAll(async () => {
  await test.close();
  await database.close();
});

async function append(count: number): Promise<readonly string[]> {
  return (await written(test.store, batchOf(newStream(), plain(count)))).map(({ id }) => id);
}

/** Waits until a reader hears of appends: its own connection listens. */
async function untilListening(name: string): Promise<void> {
  await vi.waitFor(
    async () => {
      const { rowCount } = await database.superuser.query(
        `select from pg_stat_activity where application_name = $1 and query = 'listen ledger_appended' and state = 'idle'`,
        [`mana-credits ${name} listener`],
      );
      expect(rowCount).toBe(1);
    },
    { timeout: 5_000, interval: 20 },
  );
}

it('hears of every append at once', { timeout: 10_000 }, async () => {
  const { store, close } = testStore(database.url, 'hearing');
  onTestFinished(close);
  const reader = followed(store, await store.lastPosition());
  const ids = [...(await append(1))];
  await reader.until(1);
  await untilListening('hearing');
  // Who only looked every second would need longer than the test may take.
  for (let round = 0; round < 30; round += 1) {
    const waiting = reader.until(ids.length + 1);
    ids.push(...(await append(1)));
    expect(await waiting).toEqual(ids);
  }
});

it('survives the end of its connections, again and again', async () => {
  const { store, close } = testStore(database.url, 'struck');
  onTestFinished(close);
  const reader = followed(store, await store.lastPosition(), 3);
  const ids = [...(await append(4))];
  expect(await reader.until(4)).toEqual(ids);
  for (let blow = 0; blow < 5; blow += 1) {
    await untilListening('struck');
    expect(await terminate(database.superuser, 'struck')).toBeGreaterThanOrEqual(1);
    ids.push(...(await append(5)));
    const waiting = reader.until(ids.length);
    await terminate(database.superuser, 'struck');
    expect(await waiting).toEqual(ids);
  }
  await untilListening('struck');
});

it('survives a server that is away for a while', async () => {
  const proxy = await tcpProxy(database.url);
  const { store, close } = testStore(proxy.url, 'parted');
  onTestFinished(async () => {
    await close();
    await proxy.close();
  });
  const reader = followed(store, await store.lastPosition());
  const ids = [...(await append(2))];
  expect(await reader.until(2)).toEqual(ids);
  await untilListening('parted');
  await proxy.cut();
  const waiting = reader.until(7);
  ids.push(...(await append(5)));
  await expect(store.lastPosition()).rejects.toThrow();
  await proxy.restore();
  expect(await waiting).toEqual(ids);
  await untilListening('parted');
});
