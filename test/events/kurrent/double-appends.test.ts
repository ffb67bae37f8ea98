import { randomUUID } from 'node:crypto';
import { ANY, type AppendExpectedRevision, type EventData, jsonEvent, NO_STREAM, STREAM_EXISTS } from '@eventstore/db-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { all, type Connected, connect, event, named, numbered, ONE_BY_ONE, places } from './double-client.ts';

/* What the server says to a write, on both of the client's ways. */

let connected: Connected;

beforeAll(async () => {
  connected = await connect();
});

afterAll(() => connected.close());

describe.each([
  ['BatchAppend', {}],
  ['Append', ONE_BY_ONE],
] as const)('by %s', (_name, how) => {
  const append = (stream: string, events: EventData | EventData[], expectedRevision: AppendExpectedRevision) =>
    connected.client.appendToStream(stream, events, { expectedRevision, ...how });

  it('writes in order and says where the last event stands', async () => {
    const stream = named('written');
    const first = await append(stream, numbered(3), NO_STREAM);
    const second = await append(stream, numbered(1, 3), 2n);
    const found = await all(connected.client.readStream(stream));
    expect(places(found)).toEqual(['written@0', 'written@1', 'written@2', 'written@3']);
    expect(found.map(({ event }) => event?.data)).toEqual([0, 1, 2, 3].map((data) => ({ data })));
    expect(first).toMatchObject({ success: true, nextExpectedRevision: 2n, position: found[2]?.event?.position });
    expect(second).toMatchObject({ nextExpectedRevision: 3n, position: found[3]?.event?.position });
    expect(second.position?.commit).toBe(second.position?.prepare);
  });

  it.each([
    ['no stream', NO_STREAM, 'no_stream'],
    ['a revision ahead', 7n, 7n],
    ['a revision behind', 0n, 0n],
  ] as const)('refuses %s where the stream is at another', async (_what, expected, said) => {
    const stream = named('conflict');
    await append(stream, numbered(2), NO_STREAM);
    await expect(append(stream, event('late'), expected)).rejects.toMatchObject({
      type: 'wrong-expected-version',
      streamName: stream,
      expectedVersion: said,
      actualVersion: 1n,
    });
    expect(await all(connected.client.readStream(stream))).toHaveLength(2);
  });

  it.each([
    ['an event', 0n, 0n],
    ['any event', STREAM_EXISTS, 'stream_exists'],
  ] as const)('refuses %s expected where there is no stream', async (_what, expected, said) => {
    await expect(append(named('none'), event(1), expected)).rejects.toMatchObject({
      type: 'wrong-expected-version',
      expectedVersion: said,
      actualVersion: 'no_stream',
    });
  });

  it('takes the same ids at the same place for a repetition, whatever they say', async () => {
    const stream = named('again');
    const [one, two, three] = [event(1), event(2), event(3)];
    const first = await append(stream, [one, two], NO_STREAM);
    await append(stream, three, 1n);
    const other = { ...one, data: { data: 'other' } } as EventData;
    expect(await append(stream, [other, two], NO_STREAM)).toEqual(first);
    expect(await append(stream, [two], 0n)).toEqual(first);
    expect(await append(stream, [one], NO_STREAM)).toMatchObject({ nextExpectedRevision: 0n });
    const found = await all(connected.client.readStream(stream));
    expect(found.map(({ event }) => event?.data)).toEqual([{ data: 1 }, { data: 2 }, { data: 3 }]);
  });

  it('refuses a repetition that leaves off or brings along other events', async () => {
    const stream = named('mixed');
    const [one, two] = [event(1), event(2)];
    await append(stream, [one, two], NO_STREAM);
    const refused = { type: 'wrong-expected-version', actualVersion: 1n };
    await expect(append(stream, [one, event(3)], NO_STREAM)).rejects.toMatchObject(refused);
    await expect(append(stream, [one, two, event(3)], NO_STREAM)).rejects.toMatchObject(refused);
    await expect(append(stream, [two], NO_STREAM)).rejects.toMatchObject(refused);
    await expect(append(stream, [one, event(3)], ANY)).rejects.toMatchObject({ ...refused, expectedVersion: 'any' });
  });

  it('knows an id again wherever it stands in the stream, where any revision will do', async () => {
    const stream = named('any');
    const [one, two] = [event(1), event(2)];
    const first = await append(stream, [one, two], ANY);
    expect(await append(stream, [one, two], ANY)).toEqual(first);
    expect(await append(stream, [two, one], STREAM_EXISTS)).toMatchObject({ nextExpectedRevision: 0n });
    expect(await append(named('other'), one, ANY)).toMatchObject({ nextExpectedRevision: 0n });
    expect(await all(connected.client.readStream(stream))).toHaveLength(2);
  });

  it('writes an id again at the revision that the stream has, and twice in one append', async () => {
    const stream = named('twice');
    const one = event(1);
    expect(await append(stream, [one, one], NO_STREAM)).toMatchObject({ nextExpectedRevision: 1n });
    expect(await append(stream, one, 1n)).toMatchObject({ nextExpectedRevision: 2n });
  });

  it('gives out ids in small letters and with hyphens, however they came', async () => {
    const stream = named('ids');
    const id = randomUUID();
    await append(stream, event(1, id.toUpperCase()), NO_STREAM);
    await append(stream, event(2, id.replaceAll('-', '')), 0n);
    const found = await all(connected.client.readStream(stream));
    expect(found.map(({ event }) => event?.id)).toEqual([id, id]);
  });

  it('writes nothing without events, and makes no stream', async () => {
    const stream = named('empty');
    expect(await append(stream, [], NO_STREAM)).toMatchObject({ success: true, nextExpectedRevision: 0n });
    await expect(append(stream, [], 3n)).rejects.toMatchObject({ type: 'wrong-expected-version', actualVersion: 'no_stream' });
    await expect(all(connected.client.readStream(stream))).rejects.toMatchObject({ type: 'stream-not-found' });
  });

  it('takes at most 1 MiB at once, in however many messages', async () => {
    const stream = named('large');
    const sized = (bytes: number) => jsonEvent({ type: 'Large', data: 'x'.repeat(bytes) });
    const refused = { type: 'maximum-append-size-exceeded', maxAppendSize: 1024 * 1024 };
    await append(stream, [sized(500_000), sized(500_000)], NO_STREAM);
    await expect(append(stream, sized(1024 * 1024), 1n)).rejects.toMatchObject(refused);
    await expect(append(stream, [sized(600_000), sized(600_000)], 1n)).rejects.toMatchObject(refused);
    const inPieces = { expectedRevision: 1n, batchAppendSize: 100_000, ...how };
    const pieces = connected.client.appendToStream(stream, [sized(600_000), sized(600_000)], inPieces);
    await expect(pieces).rejects.toMatchObject(refused);
    expect(await all(connected.client.readStream(stream))).toHaveLength(2);
  });
});

describe('BatchAppend', () => {
  it('puts the pieces of an append together', async () => {
    const stream = named('pieces');
    await connected.client.appendToStream(stream, numbered(50), { batchAppendSize: 300 });
    const found = await all(connected.client.readStream(stream));
    expect(found.map(({ event }) => event?.data)).toEqual(Array.from({ length: 50 }, (_, data) => ({ data })));
    expect(new Set(found.map(({ event }) => event?.revision))).toHaveProperty('size', 50);
  });

  it('takes many appends at a time, each on the one before', async () => {
    const stream = named('chain');
    const revisions = Array.from({ length: 200 }, (_, nth) => (nth === 0 ? NO_STREAM : BigInt(nth - 1)));
    const written = await Promise.all(
      revisions.map((expectedRevision, nth) => connected.client.appendToStream(stream, event(nth), { expectedRevision })),
    );
    expect(written.map(({ nextExpectedRevision }) => nextExpectedRevision)).toEqual(revisions.map((_, nth) => BigInt(nth)));
  });

  it('refuses an append without a name, and goes on', async () => {
    await expect(connected.client.appendToStream('', event(1))).rejects.toMatchObject({ type: 'unknown' });
    expect(await connected.client.appendToStream(named('after'), event(1))).toMatchObject({ success: true });
  });
});
