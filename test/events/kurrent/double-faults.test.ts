import { setTimeout as sleep } from 'node:timers/promises';
import { END, EventStoreDBClient, NO_STREAM, START, streamNameFilter } from '@eventstore/db-client';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { type KurrentDouble, startKurrentDouble } from '../../support/kurrent/double.ts';
import { FIRST_POSITION, jsonOf } from '../../support/kurrent/records.ts';
import { all, event, named, numbered, ONE_BY_ONE, places, watch } from './double-client.ts';

/* What the double does wrong on demand, as far as connections live on. */

let double: KurrentDouble;
let client: EventStoreDBClient;

beforeAll(async () => {
  double = await startKurrentDouble();
  client = EventStoreDBClient.connectionString(double.url);
});

afterEach(() => double.faults.clear());

afterAll(async () => {
  await client.dispose();
  await double.close();
});

const dataOf = (stream: string): unknown[] => double.log.stream(stream).map((logged) => jsonOf(logged));

it('never answers the calls that a fault takes, nor does what they ask', async () => {
  const [stuck, sound] = [named('stuck'), named('sound')];
  const fault = double.faults.hang({ streams: (stream) => stream === stuck, times: 2 });
  const answered = vi.fn();
  void client.appendToStream(stuck, event(1)).then(answered, answered);
  const reading = client.readStream(stuck).on('error', answered).on('end', answered).on('data', answered);
  await client.appendToStream(sound, event(1));
  await vi.waitUntil(() => fault.hits === 2, { timeout: 10_000 });
  await client.appendToStream(stuck, event('third'));
  expect(answered).not.toHaveBeenCalled();
  expect(dataOf(stuck)).toEqual([{ data: 'third' }]);
  await reading.cancel();
});

it('does what it is asked and answers later', async () => {
  const stream = named('late');
  double.faults.late(300, { operations: ['append'] });
  const began = Date.now();
  const appending = client.appendToStream(stream, event(1));
  await vi.waitUntil(() => double.log.stream(stream).length === 1, { timeout: 10_000 });
  await appending;
  expect(Date.now() - began).toBeGreaterThanOrEqual(290);
});

it('says that it is not ready, or has too much to do', async () => {
  const stream = named('unready');
  double.faults.notReady({ times: 3 });
  await expect(client.appendToStream(stream, event(1))).rejects.toMatchObject({
    type: 'unknown',
    message: 'Could not recognize Server Is Not Ready',
  });
  await expect(client.appendToStream(stream, event(1), ONE_BY_ONE)).rejects.toMatchObject({ type: 'unavailable', code: 14 });
  await expect(all(client.readStream(stream))).rejects.toMatchObject({ type: 'unavailable', code: 14 });
  double.faults.busy({ times: 1 });
  await expect(client.appendToStream(stream, event(1))).rejects.toMatchObject({ message: 'Could not recognize Server Is Busy' });
  expect(double.log.stream(stream)).toEqual([]);
});

it.each([true, false])('answers a write as timed out: written %s', async (written) => {
  const stream = named('timeout');
  double.faults.timeout(written, { times: 2 });
  await expect(client.appendToStream(stream, event(1))).rejects.toMatchObject({ type: 'deadline-exceeded' });
  await expect(client.appendToStream(stream, event(2), ONE_BY_ONE)).rejects.toMatchObject({ type: 'timeout', code: 10 });
  expect(dataOf(stream)).toEqual(written ? [{ data: 1 }, { data: 2 }] : []);
});

it('does at the thaw what it was asked while frozen, in order, and refuses what came too late', async () => {
  const stream = named('frozen');
  await client.appendToStream(stream, event(0));
  double.faults.freeze();
  const answers: unknown[] = [];
  const note = (appending: Promise<unknown>): Promise<unknown> => appending.then(() => answers.push('written'));
  const held = [1, 2, 3].map((nth) => note(client.appendToStream(stream, event(nth), { expectedRevision: BigInt(nth - 1) })));
  const reading = all(client.readStream(stream));
  const late = client.appendToStream(named('frozen'), event(1), { deadline: 100 });
  const refused = expect(late).rejects.toMatchObject({ type: 'deadline-exceeded' });
  await sleep(200);
  expect(answers).toEqual([]);
  expect(double.log.stream(stream)).toHaveLength(1);
  double.faults.thaw();
  await Promise.all([...held, refused]);
  expect(dataOf(stream)).toEqual([0, 1, 2, 3].map((data) => ({ data })));
  expect((await reading).length).toBeGreaterThan(0);
});

it('shows readers nothing new while it lags behind', async () => {
  const stream = named('lag');
  await client.appendToStream(stream, event(0));
  const subscription = client.subscribeToStream(stream);
  const { seen, until } = watch(subscription);
  await until('caught up');
  double.faults.lag();
  await client.appendToStream(stream, event(1));
  expect(places(await all(client.readStream(stream)))).toEqual(['lag@0']);
  expect(seen).toEqual(['confirmed', 'lag@0', 'caught up']);
  double.faults.catchUp();
  await until('lag@1');
  expect(places(await all(client.readStream(stream)))).toEqual(['lag@0', 'lag@1']);
  await subscription.unsubscribe();
});

it('ends a subscription without an error', async () => {
  const stream = named('ends');
  const subscription = client.subscribeToStream(stream, { fromRevision: END });
  const { seen, errors, until } = watch(subscription);
  await until('caught up');
  expect(double.faults.endSubscriptions((name) => name === stream)).toBe(1);
  await until('end');
  expect(errors).toEqual([]);
  await client.appendToStream(stream, event(1));
  expect(seen).toEqual(['confirmed', 'caught up', 'end']);
});

it('calls a consumer too slow, a number of times', async () => {
  const stream = named('hasty');
  double.faults.tooSlow(2);
  for (const expected of [['error'], ['error'], ['hasty@2']]) {
    const subscription = client.subscribeToStream(stream, { fromRevision: END });
    const { seen, until } = watch(subscription);
    await until('caught up');
    await client.appendToStream(stream, event(1));
    await until(() => seen.length === 3);
    expect(seen.slice(2)).toEqual(expected);
    await subscription.unsubscribe();
  }
  const running = client.subscribeToStream(stream, { fromRevision: END });
  const { errors, until } = watch(running);
  await until('caught up');
  expect(double.faults.slowSubscriptions((name) => name === stream)).toBe(1);
  await until('error');
  expect(errors).toMatchObject([{ type: 'timeout', code: 10 }]);
});

it('overflows a small buffer at a burst, after what fits into it', async () => {
  const stream = named('burst');
  const filter = streamNameFilter({ prefixes: [stream] });
  const overflows = async (count: number): Promise<readonly string[]> => {
    const subscription = client.subscribeToAll({ fromPosition: END, filter });
    const { seen, until } = watch(subscription);
    await until('caught up');
    const { nextExpectedRevision } = await client.appendToStream(stream, numbered(count));
    await until(() => seen.includes('error') || seen.includes(`burst@${nextExpectedRevision}`));
    const live = seen.slice(2);
    await subscription.unsubscribe();
    return live;
  };
  expect(await overflows(60)).toHaveLength(60);
  expect((await overflows(1000)).at(-1)).toBe('error');
  double.faults.liveBuffer = 2;
  const few = await overflows(20);
  expect(few.at(-1)).toBe('error');
  expect(few.length).toBeLessThan(8);
});

it('tells a subscriber that it fell behind', async () => {
  const subscription = client.subscribeToStream(named('behind'), { fromRevision: END });
  const { seen, until } = watch(subscription);
  await until('caught up');
  double.faults.fallBehind();
  await until(() => seen.length === 4);
  expect(seen).toEqual(['confirmed', 'caught up', 'fell behind', 'caught up']);
  await subscription.unsubscribe();
});

it('gives out what no client could write, and what others wrote', async () => {
  const stream = named('raw');
  double.log.write(stream, [
    { type: 'Broken', data: '{"half":' },
    { type: 'Whole', data: { a: 1 } },
  ]);
  double.log.writeSystemEvents(2);
  const [broken, whole] = await all(client.readStream(stream));
  expect(broken?.event).toMatchObject({ type: 'Broken', isJson: true, data: '{"half":' });
  expect(whole?.event).toMatchObject({ data: { a: 1 } });
  const names = (await all(client.readAll({ fromPosition: START }))).map(({ event }) => event?.streamId);
  expect(names.slice(-2)).toEqual(['$stats-127.0.0.1:2113', '$stats-127.0.0.1:2113']);
});

it('has positions that no number holds', async () => {
  await client.appendToStream(named('far'), numbered(5), { expectedRevision: NO_STREAM });
  const positions = (await all(client.readAll())).map(({ event }) => event?.position?.commit ?? 0n);
  expect(positions[0]).toBe(FIRST_POSITION);
  expect(positions.length).toBeGreaterThan(5);
  expect(positions.filter((position) => BigInt(Number(position)) === position)).toEqual([]);
});
