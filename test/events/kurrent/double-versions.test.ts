import { EventStoreDBClient } from '@eventstore/db-client';
import featuresGrpc from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import type { SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb.js';
import sharedPb from '@eventstore/db-client/generated/shared_pb.js';
import { credentials } from '@grpc/grpc-js';
import { expect, it } from 'vitest';
import { startKurrentDouble } from '../../support/kurrent/double.ts';
import { all, event, named, places } from './double-client.ts';

/* What a server says of itself, and one that is old. */

function featuresOf(port: number): Promise<SupportedMethods> {
  const client = new featuresGrpc.ServerFeaturesClient(`127.0.0.1:${port}`, credentials.createInsecure());
  return new Promise((resolve, reject) => {
    client.getSupportedMethods(new sharedPb.Empty(), (error, methods) => {
      client.close();
      if (error === null) resolve(methods);
      else reject(error);
    });
  });
}

it('says its version and what it can do', async () => {
  await using_(await startKurrentDouble(), async ({ port }) => {
    const features = await featuresOf(port);
    expect(features.getEventStoreServerVersion()).toBe('23.10.8');
    const methods = features.getMethodsList().map((method) => `${method.getServiceName()}/${method.getMethodName()}`);
    expect(methods).toContain('event_store.client.streams.streams/batchappend');
  });
});

it('is written to one by one where it has no BatchAppend', async () => {
  await using_(await startKurrentDouble({ version: '20.10.2', batchAppend: false }), async ({ port, url }) => {
    expect((await featuresOf(port)).getEventStoreServerVersion()).toBe('20.10.2');
    const client = EventStoreDBClient.connectionString(url);
    const stream = named('old');
    await client.appendToStream(stream, [event(1), event(2)]);
    expect(places(await all(client.readStream(stream)))).toEqual(['old@0', 'old@1']);
    await client.dispose();
  });
});

async function using_<Resource extends { close(): Promise<void> }>(
  resource: Resource,
  use: (resource: Resource) => Promise<void>,
): Promise<void> {
  try {
    await use(resource);
  } finally {
    await resource.close();
  }
}
