import { EventStoreDBClient, NO_STREAM } from '@eventstore/db-client';
import { afterAll, expect, it } from 'vitest';
import { startKurrentDouble } from '../../support/kurrent/double.ts';
import { all, event, named, places } from './double-client.ts';

/* A write whose answer is lost: the caller can't know, and the log does. */

const double = await startKurrentDouble();
const client = EventStoreDBClient.connectionString(double.url);

afterAll(async () => {
  await client.dispose();
  await double.close();
});

it('writes and drops the connection, and takes the same write for a repetition afterwards', async () => {
  await client.appendToStream(named('before'), event(1));
  const stream = named('lost');
  const lost = event(1);
  const fault = double.faults.loseAnswer({ times: 1, streams: (name) => name === stream });
  const append = () => client.appendToStream(stream, lost, { expectedRevision: NO_STREAM });
  await expect(append()).rejects.toMatchObject({ code: 14 });
  expect(fault.hits).toBe(1);
  expect(double.log.stream(stream)).toHaveLength(1);
  expect(await append()).toMatchObject({ success: true, nextExpectedRevision: 0n });
  expect(places(await all(client.readStream(stream)))).toEqual(['lost@0']);
});
