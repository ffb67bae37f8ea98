import { EventStoreDBClient } from '@eventstore/db-client';
import { afterAll, expect, it } from 'vitest';
import { startKurrentDouble } from '../../support/kurrent/double.ts';
import { all, event, named, ONE_BY_ONE } from './double-client.ts';

/* A server that names another as the leader: the client that asked goes there by itself. */

const leader = await startKurrentDouble();
const follower = await startKurrentDouble({ log: leader.log });

afterAll(async () => {
  await follower.close();
  await leader.close();
});

it.each([
  ['BatchAppend', (client: EventStoreDBClient, stream: string) => client.appendToStream(stream, event(1))],
  ['Append', (client: EventStoreDBClient, stream: string) => client.appendToStream(stream, event(1), ONE_BY_ONE)],
  ['Read', (client: EventStoreDBClient, stream: string) => all(client.readStream(stream))],
  ['Delete', (client: EventStoreDBClient, stream: string) => client.deleteStream(stream)],
] as const)('by %s', async (_name, ask) => {
  const client = EventStoreDBClient.connectionString(follower.url);
  const stream = named('led');
  leader.log.write(stream, [{ type: 'Before' }]);
  const fault = follower.faults.notLeader(leader);
  await expect(ask(client, stream)).rejects.toMatchObject({
    type: 'not-leader',
    code: 5,
    leader: { address: leader.host, port: leader.port },
  });
  expect(fault.hits).toBe(1);
  await ask(client, stream);
  expect(fault.hits).toBe(1);
  await client.dispose();
  follower.faults.clear();
});
