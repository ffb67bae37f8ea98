import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { startKurrentDouble } from '../../support/kurrent/double.ts';
import { openTestStore } from '../../support/kurrent-store.ts';
import { batchOf, newStream, plain, stored, written } from '../contract/batches.ts';

/* The client's own faults end with its thread: it is replaced, and neither the process nor another store is harmed. */

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

/** A server and a store on it that nobody else has, and what the store got over. */
async function open() {
  const server = await startKurrentDouble();
  const troubles: string[] = [];
  const { store, close } = await openTestStore(server.url, database.url, (what) => void troubles.push(what));
  onTestFinished(async () => {
    await close();
    await server.close();
  });
  return { server, store, troubles };
}

it('a client poisoned by an event that it can not send is replaced', { timeout: 60_000 }, async () => {
  const { store, troubles } = await open();
  const good = batchOf(newStream(), plain(1));
  const bad = batchOf(newStream(), plain(1));
  const poison = { ...bad, events: bad.events.map((event) => ({ ...event, id: 'this is no id' })) };
  const [failed] = await store.append([poison]);
  expect(failed).toMatchObject({ failed: expect.any(Error) });
  await vi.waitFor(async () => expect((await store.append([good]))[0]).toMatchObject({ accepted: true }), { timeout: 30_000 });
  expect(troubles.some((what) => what.includes('replaced') || what.includes('ended'))).toBe(true);
  expect(await store.readStream(good.stream, { limit: 2 })).toEqual(stored(good.events));
});

it('a dead server beside a live one harms nothing of the live one', { timeout: 60_000 }, async () => {
  const [dying, living] = [await open(), await open()];
  const streams = Array.from({ length: 40 }, () => newStream());
  const onDying = streams.map((stream) => dying.store.append([batchOf(stream, plain(3))]));
  const onLiving = streams.map((stream) => written(living.store, batchOf(stream, plain(3))));
  await dying.server.stop();
  await Promise.all(onLiving);
  for (let round = 0; round < 20; round += 1) await written(living.store, batchOf(newStream(), plain(2)));
  // Whatever became of the others, it is told.
  for (const [result] of await Promise.all(onDying)) expect(result).toBeDefined();
  await dying.server.start();
  await vi.waitFor(async () => written(dying.store, batchOf(newStream(), plain(1))), { timeout: 20_000 });
});

it('large appends that are under way when the connection breaks leave nothing unhandled', { timeout: 60_000 }, async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown) => void unhandled.push(error);
  process.on('unhandledRejection', note);
  onTestFinished(() => void process.off('unhandledRejection', note));
  const { server, store } = await open();
  const large = { text: 'x'.repeat(120_000) };
  for (let round = 0; round < 3; round += 1) {
    const batches = Array.from({ length: 8 }, () => batchOf(newStream(), [{ data: large }, { data: large }]));
    const appending = Promise.all(batches.map((batch) => store.append([batch])));
    server.faults.dropConnections();
    for (const [result] of await appending) expect(result).toBeDefined();
  }
  await written(store, batchOf(newStream(), plain(1)));
  expect(unhandled).toEqual([]);
});

it('a closed store refuses, and closing waits for nobody', async () => {
  const server = await startKurrentDouble();
  const { store, close } = await openTestStore(server.url, database.url);
  server.faults.hang();
  const waiting = store.readStream(newStream(), { limit: 1 });
  waiting.catch(() => undefined);
  await close();
  await expect(waiting).rejects.toMatchObject({ name: 'StoreUnavailableError' });
  await expect(store.lastPosition()).rejects.toMatchObject({ name: 'StoreUnavailableError' });
  await server.close();
});
