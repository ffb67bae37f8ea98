import { ANY, EventStoreDBClient, NO_STREAM } from '@eventstore/db-client';
import { afterAll, expect, it, vi } from 'vitest';
import { startKurrentDouble } from '../../support/kurrent/double.ts';
import { all, event, named, numbered, places } from './double-client.ts';

/* A server that is killed and comes back with its log. */

const double = await startKurrentDouble();
const client = EventStoreDBClient.connectionString(double.url);

afterAll(async () => {
  await client.dispose();
  await double.close();
});

it('is unreachable while it is down, and has its log when it is back, but not the ids by heart', async () => {
  const stream = named('kept');
  const events = numbered(2);
  await client.appendToStream(stream, events, { expectedRevision: ANY });
  expect(await client.appendToStream(stream, events, { expectedRevision: ANY })).toMatchObject({ nextExpectedRevision: 1n });
  await double.stop();
  await expect(client.appendToStream(named('down'), event(1))).rejects.toMatchObject({ code: 14 });
  await expect(all(client.readStream(stream))).rejects.toMatchObject({ code: 14 });
  await double.start();
  await vi.waitFor(async () => expect(places(await all(client.readStream(stream)))).toEqual(['kept@0', 'kept@1']), {
    timeout: 10_000,
  });
  const again = await client.appendToStream(stream, events, { expectedRevision: NO_STREAM });
  expect(again).toMatchObject({ nextExpectedRevision: 1n });
  // Where any revision will do the server has nowhere to look, and has forgotten: it writes them once more.
  expect(await client.appendToStream(stream, events, { expectedRevision: ANY })).toMatchObject({ nextExpectedRevision: 3n });
});
