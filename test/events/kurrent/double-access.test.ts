import { EventStoreDBClient } from '@eventstore/db-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type KurrentDouble, startKurrentDouble } from '../../support/kurrent/double.ts';
import { all, event, named, watch } from './double-client.ts';

/* TLS under an authority of one's own, and credentials. */

let double: KurrentDouble;

beforeAll(async () => {
  double = await startKurrentDouble({ tls: true, credentials: { username: 'ops', password: 'p@ss word' } });
});

afterAll(() => double.close());

/** The double's URL with other credentials, or none. */
function urlFor(who: string, how = ''): string {
  return double.url.replace(/\/\/.*@/, who === '' ? '//' : `//${who}@`) + how;
}

it('lets in who has the credentials', async () => {
  const client = EventStoreDBClient.connectionString(double.url);
  const stream = named('let-in');
  await client.appendToStream(stream, event(1));
  expect(await all(client.readStream(stream))).toHaveLength(1);
  const subscription = client.subscribeToStream(stream);
  const { until } = watch(subscription);
  await until('caught up');
  await client.dispose();
});

it.each([
  ['none', ''],
  ['wrong ones', 'ops:guess'],
])('refuses who has %s', async (_what, who) => {
  const client = EventStoreDBClient.connectionString(urlFor(who));
  const denied = { type: 'access-denied' };
  await expect(client.appendToStream(named('refused'), event(1))).rejects.toMatchObject(denied);
  const credentials = { username: 'ops', password: 'guess' };
  await expect(client.appendToStream(named('refused'), event(1), { credentials })).rejects.toMatchObject(denied);
  await expect(all(client.readStream(named('refused')))).rejects.toMatchObject(denied);
  await expect(client.deleteStream(named('refused'))).rejects.toMatchObject(denied);
  expect(double.log.streams.filter((stream) => stream.startsWith('refused'))).toEqual([]);
  await client.dispose();
});

it('is not trusted without its authority', async () => {
  const client = EventStoreDBClient.connectionString(`esdb://ops:p%40ss%20word@127.0.0.1:${double.port}?tls=true`);
  await expect(client.appendToStream(named('untrusted'), event(1))).rejects.toMatchObject({ code: 14 });
  await client.dispose();
});
