import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import type { NewEvent, Store } from '../../../src/events/store.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { type KurrentCluster, startKurrentCluster } from '../../support/kurrent/cluster.ts';
import { openTestStore } from '../../support/kurrent-store.ts';
import { batchOf, lastOf, newStream, plain, stored, written } from '../contract/batches.ts';
import { followed } from '../contract/subscriptions.ts';

/* Three servers of which one leads, and not always the same. */

let cluster: KurrentCluster;
let database: TestDatabase;
let opened: Awaited<ReturnType<typeof openTestStore>>;
let store: Store;

beforeAll(async () => {
  database = await createTestDatabase();
});
beforeEach(async () => {
  cluster = await startKurrentCluster(3, { electionMs: 500 });
  opened = await openTestStore(cluster.url, database.url);
  ({ store } = opened);
});
afterEach(async () => {
  await opened.close();
  await cluster.close();
});
afterAll(() => database.close());

/** Appends until the cluster takes it. */
async function appendInTheEnd(stream: string, head: NewEvent | undefined): Promise<NewEvent> {
  const batch = batchOf(stream, plain(1), head);
  await vi.waitFor(async () => expect((await store.append([batch]))[0]).toMatchObject({ accepted: true }), { timeout: 20_000 });
  return lastOf(batch.events);
}

it('goes on under another leader when one is killed, and nothing is written twice or lost', { timeout: 60_000 }, async () => {
  const stream = newStream();
  const reader = followed(store, await store.lastPosition());
  const events: NewEvent[] = [];
  for (let round = 0; round < 12; round += 1) {
    if (round === 4) await cluster.leader?.stop();
    events.push(await appendInTheEnd(stream, events.at(-1)));
  }
  const ids = events.map(({ id }) => id);
  expect(await store.readStream(stream, { limit: 100 })).toEqual(stored(events));
  expect(await reader.until(12)).toEqual(ids);
});

it('goes on where the leader becomes a follower, whose heads are not believed', { timeout: 60_000 }, async () => {
  const stream = newStream();
  const base = await written(store, batchOf(stream, plain(1)));
  const [first, second] = cluster.nodes;
  if (first === undefined || second === undefined) throw new Error('there are three');
  cluster.lead(second);
  // What the old leader shows from now on is old.
  first.faults.lag();
  const next = await appendInTheEnd(stream, lastOf(base));
  const head = { stream, expectedRevision: next.revision, events: [], unclaimed: [] };
  await vi.waitFor(async () => expect((await store.append([head]))[0]).toMatchObject({ accepted: true }), { timeout: 10_000 });
  const [stale] = await store.append([{ ...head, expectedRevision: 0 }]);
  expect(stale).toMatchObject({ accepted: false, missing: [{ id: next.id }] });
});

it('refuses while there is no leader, and says nothing of a head', { timeout: 60_000 }, async () => {
  const stream = newStream();
  const base = await written(store, batchOf(stream, plain(1)));
  for (const node of cluster.nodes.slice(0, 2)) await node.stop();
  const results = await store.append([batchOf(stream, plain(1), lastOf(base))]);
  expect(results[0]).toMatchObject({ failed: { name: expect.stringMatching(/^(?:OutcomeUnknown|StoreUnavailable)Error$/) } });
  const [head] = await store.append([{ stream, expectedRevision: 0, events: [], unclaimed: [] }]);
  expect(head).toMatchObject({ failed: { name: 'StoreUnavailableError' } });
  for (const node of cluster.nodes.slice(0, 2)) await node.start();
  await appendInTheEnd(stream, lastOf(base));
});
