import { EventStoreDBClient } from '@eventstore/db-client';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { type KurrentCluster, startKurrentCluster } from '../../support/kurrent/cluster.ts';
import { all, event, named, numbered, ONE_BY_ONE, places } from './double-client.ts';

/* Three servers: who leads, who forwards, and what happens when the leader dies. */

let cluster: KurrentCluster;

beforeAll(async () => {
  cluster = await startKurrentCluster(3, { electionMs: 300 });
});

afterAll(() => cluster.close());

const followers = () => cluster.nodes.filter((node) => node !== cluster.leader);

it('has followers that forward what they are given to write, and show it', async () => {
  const [one] = followers();
  const client = EventStoreDBClient.connectionString(one?.url ?? '');
  const stream = named('forwarded');
  await client.appendToStream(stream, numbered(2));
  expect(places(await all(client.readStream(stream)))).toEqual(['forwarded@0', 'forwarded@1']);
  expect(cluster.log.stream(stream)).toHaveLength(2);
  await client.dispose();
});

it('has followers that send whoever wants the leader there', async () => {
  const [one] = followers();
  const stream = named('led');
  const leader = { address: cluster.leader?.host, port: cluster.leader?.port };
  const asks = [
    (client: EventStoreDBClient) => client.appendToStream(stream, event(1), { requiresLeader: true }),
    (client: EventStoreDBClient) => client.appendToStream(stream, event(1), { requiresLeader: true, ...ONE_BY_ONE }),
    (client: EventStoreDBClient) => all(client.readStream(stream, { requiresLeader: true })),
  ];
  for (const ask of asks) {
    const client = EventStoreDBClient.connectionString(one?.url ?? '');
    await expect(ask(client)).rejects.toMatchObject({ type: 'not-leader', leader });
    await ask(client);
    await client.dispose();
  }
});

it('is found by gossip, and goes on under another leader when one is killed', async () => {
  const client = EventStoreDBClient.connectionString(cluster.url);
  const stream = named('survives');
  await client.appendToStream(stream, event(1));
  const killed = cluster.leader;
  await killed?.stop();
  const second = event(2);
  await vi.waitFor(() => client.appendToStream(stream, second, { expectedRevision: 0n }), { timeout: 15_000 });
  expect(cluster.leader).toBe(cluster.nodes[1]);
  expect(places(await all(client.readStream(stream)))).toEqual(['survives@0', 'survives@1']);
  await killed?.start();
  expect(cluster.leader).toBe(cluster.nodes[1]);
  await client.dispose();
});

it('is not ready while it has no leader', async () => {
  const slow = await startKurrentCluster(3, { electionMs: 600_000 });
  const [first, second] = slow.nodes;
  const client = EventStoreDBClient.connectionString(second?.url ?? '');
  const stream = named('leaderless');
  await client.appendToStream(stream, event(1));
  await first?.stop();
  expect(slow.leader).toBeUndefined();
  await expect(client.appendToStream(stream, event(2))).rejects.toMatchObject({
    message: 'Could not recognize Server Is Not Ready',
  });
  await expect(all(client.readStream(stream))).rejects.toMatchObject({ type: 'unavailable', code: 14 });
  if (second !== undefined) slow.lead(second);
  await vi.waitFor(() => client.appendToStream(stream, event(2)), { timeout: 15_000 });
  await client.dispose();
  await slow.close();
});

it('has no leader without a majority', async () => {
  const [one, two] = cluster.nodes;
  await Promise.all([one?.stop(), two?.stop()]);
  const third = EventStoreDBClient.connectionString(cluster.nodes[2]?.url ?? '');
  await expect(third.appendToStream(named('alone'), event(1))).rejects.toMatchObject({ type: 'unknown' });
  await one?.start();
  await vi.waitFor(() => third.appendToStream(named('two'), event(1)), { timeout: 15_000 });
  await third.dispose();
});
