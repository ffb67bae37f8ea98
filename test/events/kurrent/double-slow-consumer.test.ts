import { END, jsonEvent, streamNameFilter } from '@eventstore/db-client';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type Connected, connect, named, watch } from './double-client.ts';

/* Who doesn't read what is live is cut off, once what stands between is full. */

let connected: Connected;

beforeAll(async () => {
  connected = await connect();
});

afterAll(() => connected.close());

const TOO_SLOW = /Consumer too slow to handle event while live\. Client resubscription required\./;

it('ends the subscription of who does not read, after what was under way', async () => {
  const stream = named('slow');
  const subscription = connected.client.subscribeToAll({
    fromPosition: END,
    filter: streamNameFilter({ prefixes: [stream] }),
  });
  const errors: unknown[] = [];
  const caughtUp = vi.fn();
  // Nobody reads it: it only fills.
  subscription.on('error', (error) => errors.push(error)).on('caughtUp', caughtUp);
  await vi.waitUntil(() => caughtUp.mock.calls.length > 0, { timeout: 10_000 });
  const events = 400;
  for (let nth = 0; nth < events; nth++) {
    await connected.client.appendToStream(stream, jsonEvent({ type: 'Large', data: 'x'.repeat(4000) }));
  }
  const { seen } = watch(subscription);
  await vi.waitUntil(() => errors.length > 0, { timeout: 10_000 });
  expect(errors).toMatchObject([{ type: 'timeout', code: 10, message: expect.stringMatching(TOO_SLOW) }]);
  const got = seen.filter((what) => what.startsWith('slow@'));
  expect(got.length).toBeGreaterThan(0);
  expect(got.length).toBeLessThan(events);
  expect(got).toEqual(got.map((_, nth) => `slow@${nth}`));
});

it('leaves those alone who read', async () => {
  const stream = named('quick');
  const subscription = connected.client.subscribeToStream(stream, { fromRevision: END });
  const { seen, errors, until } = watch(subscription);
  await until('caught up');
  for (let nth = 0; nth < 400; nth++) {
    await connected.client.appendToStream(stream, jsonEvent({ type: 'Large', data: 'x'.repeat(4000) }));
  }
  await until('quick@399');
  expect(errors).toEqual([]);
  expect(seen).toHaveLength(402);
  await subscription.unsubscribe();
});
