import { EventStoreDBClient } from '@eventstore/db-client';
import { afterAll, expect, it } from 'vitest';
import { startKurrentDouble } from '../../support/kurrent/double.ts';
import { all, event, named, numbered, watch } from './double-client.ts';

/* Connections that are lost while the server lives. */

const double = await startKurrentDouble();
const client = EventStoreDBClient.connectionString(double.url);

afterAll(async () => {
  await client.dispose();
  await double.close();
});

const LOST = { type: 'unavailable', code: 14 };

it('drops the connection instead of writing', async () => {
  const stream = named('dropped');
  await client.appendToStream(named('before'), event(1));
  double.faults.drop({ times: 1, operations: ['append'] });
  await expect(client.appendToStream(stream, event(1))).rejects.toMatchObject(LOST);
  expect(double.log.stream(stream)).toEqual([]);
  expect(await client.appendToStream(stream, event(1))).toMatchObject({ success: true });
});

it('drops it in the middle of a read', async () => {
  const stream = named('cut');
  await client.appendToStream(stream, numbered(200));
  double.faults.cut(50, { times: 1 });
  let got = 0;
  const reading = async (): Promise<void> => {
    for await (const _ of client.readStream(stream)) got += 1;
  };
  await expect(reading()).rejects.toMatchObject(LOST);
  expect(got).toBeLessThanOrEqual(50);
  expect(await all(client.readStream(stream))).toHaveLength(200);
});

it('drops every connection at once, subscriptions with them', async () => {
  const subscription = client.subscribeToStream(named('all'));
  const { errors, until } = watch(subscription);
  await until('confirmed');
  double.faults.dropConnections();
  await until('error');
  expect(errors).toMatchObject([LOST]);
  expect(await client.appendToStream(named('after'), event(1))).toMatchObject({ success: true });
});
