import { EventStoreDBClient } from '@eventstore/db-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventsOf, steer } from '../../support/kurrent/steering.ts';
import { type Child, killAll, startChild } from '../../entries/children.ts';
import { all, event, named, places } from './double-client.ts';

/* The double as a process of its own, steered over HTTP. */

let child: Child;
let url: string;
let control: string;

beforeAll(async () => {
  child = startChild({ args: ['--import', 'tsx', 'test/support/kurrent/serve.ts', '--version', '22.10.0'] });
  url = await child.says(/^listening on (esdb:\S+)$/m);
  control = await child.says(/^control on (http:\S+)$/m);
});

afterAll(() => killAll());

it('serves, and tells what was written', async () => {
  const client = EventStoreDBClient.connectionString(url);
  const stream = named('served');
  await client.appendToStream(stream, event(1));
  await steer(control, { do: 'write', stream, events: [{ type: 'Broken', data: '{' }] });
  expect(places(await all(client.readStream(stream)))).toEqual(['served@0', 'served@1']);
  expect(await eventsOf(control, stream)).toMatchObject([
    { revision: '0', type: 'Numbered', data: '{"data":1}' },
    { revision: '1', type: 'Broken', data: '{' },
  ]);
  await client.dispose();
});

it('has its faults switched on and off', async () => {
  const client = EventStoreDBClient.connectionString(url);
  const stream = named('faulty');
  await steer(control, { do: 'timeout', written: true, prefix: stream, times: 1 });
  await expect(client.appendToStream(stream, event(1))).rejects.toMatchObject({ type: 'deadline-exceeded' });
  expect(await eventsOf(control, stream)).toHaveLength(1);
  await steer(control, { do: 'notReady' });
  await expect(all(client.readStream(stream))).rejects.toMatchObject({ type: 'unavailable' });
  await steer(control, { do: 'clear' });
  expect(await all(client.readStream(stream))).toHaveLength(1);
  await client.dispose();
});

it('refuses what is no command', async () => {
  // What a wrong hand types is no command, whatever the compiler says.
  await expect(steer(control, { do: 'explode' } as never)).rejects.toThrow(/Invalid/);
});

it('ends when it is told to', async () => {
  child.kill('SIGTERM');
  expect(await child.ended()).toEqual({ code: 0, signal: null });
});
