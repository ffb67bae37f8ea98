import { type AllStreamResolvedEvent, BACKWARDS, END, FORWARDS, type Position, START } from '@eventstore/db-client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { all, type Connected, connect, event, named, numbered, places } from './double-client.ts';

/* What a reader gets of a stream and of the whole log. */

let connected: Connected;

beforeAll(async () => {
  connected = await connect();
});

afterAll(() => connected.close());

describe('a stream', () => {
  const stream = named('read');

  beforeAll(async () => {
    await connected.client.appendToStream(stream, numbered(100));
  });

  const revisions = async (options: Parameters<typeof connected.client.readStream>[1]) =>
    (await all(connected.client.readStream(stream, options))).map(({ event }) => Number(event?.revision));

  it('is read from its start, its end or a revision on, this way or that', async () => {
    const forwards = Array.from({ length: 100 }, (_, nth) => nth);
    expect(await revisions({})).toEqual(forwards);
    expect(await revisions({ fromRevision: 97n })).toEqual([97, 98, 99]);
    expect(await revisions({ fromRevision: 40n, maxCount: 3 })).toEqual([40, 41, 42]);
    expect(await revisions({ direction: BACKWARDS, fromRevision: END })).toEqual(forwards.toReversed());
    expect(await revisions({ direction: BACKWARDS, fromRevision: END, maxCount: 2 })).toEqual([99, 98]);
    expect(await revisions({ direction: BACKWARDS, fromRevision: 2n })).toEqual([2, 1, 0]);
    expect(await revisions({ direction: BACKWARDS, fromRevision: START })).toEqual([0]);
  });

  it('ends where it ends: beyond there is nothing, and backwards from there all', async () => {
    expect(await revisions({ fromRevision: 100n })).toEqual([]);
    expect(await revisions({ direction: BACKWARDS, fromRevision: 500n, maxCount: 2 })).toEqual([99, 98]);
  });

  it('is not read forwards from its end, nor for no event', async () => {
    await expect(revisions({ direction: FORWARDS, fromRevision: END })).rejects.toMatchObject({ type: 'unknown', code: 2 });
    await expect(revisions({ maxCount: 0 })).rejects.toMatchObject({ type: 'unknown', code: 2 });
  });

  it('that is not there is not found', async () => {
    const name = named('nowhere');
    const notFound = { type: 'stream-not-found', streamName: expect.anything() };
    await expect(all(connected.client.readStream(name))).rejects.toMatchObject(notFound);
    await expect(all(connected.client.readStream(name, { direction: BACKWARDS, fromRevision: END }))).rejects.toMatchObject(
      notFound,
    );
    await expect(all(connected.client.readStream(''))).rejects.toMatchObject({ type: 'unknown' });
  });

  it('is found by many readers at a time', async () => {
    const lengths = await Promise.all(Array.from({ length: 60 }, () => revisions({ maxCount: 40 })));
    expect(lengths.every(({ length }) => length === 40)).toBe(true);
  });
});

describe('$all', () => {
  const stream = named('all');
  let written: { readonly revision: bigint; readonly position: Position }[];

  beforeAll(async () => {
    for (let nth = 0; nth < 5; nth++) await connected.client.appendToStream(stream, event(nth));
    const found = await all(connected.client.readStream(stream));
    written = found.flatMap(({ event }) =>
      event?.position === undefined ? [] : [{ revision: event.revision, position: event.position }],
    );
  });

  const at = (revision: number): Position => written[revision]?.position ?? { commit: 0n, prepare: 0n };
  const read = (options: Parameters<typeof connected.client.readAll>[0]): Promise<AllStreamResolvedEvent[]> =>
    all(connected.client.readAll(options));
  /** The test's own events among those that are read: others may write to the same server. */
  const ours = async (options: Parameters<typeof connected.client.readAll>[0]): Promise<string[]> =>
    places((await read({ maxCount: 500, ...options })).filter(({ event }) => event?.streamId === stream));

  it('is read from a position on, which is the first event', async () => {
    expect(await ours({ fromPosition: at(1) })).toEqual(['all@1', 'all@2', 'all@3', 'all@4']);
    expect(places(await read({ fromPosition: at(1), maxCount: 1 }))).toEqual(['all@1']);
    expect(places(await read({ fromPosition: { commit: at(1).commit, prepare: 0n }, maxCount: 1 }))).toEqual(['all@1']);
  });

  it('is read backwards from a position, which is not among the events', async () => {
    expect(await ours({ fromPosition: at(3), direction: BACKWARDS })).toEqual(['all@2', 'all@1', 'all@0']);
    expect(await read({ fromPosition: END, maxCount: 1, direction: BACKWARDS })).toHaveLength(1);
    expect(await read({ fromPosition: START, direction: BACKWARDS })).toEqual([]);
  });

  it('ends at the end', async () => {
    expect(await read({ fromPosition: END })).toEqual([]);
    const far = at(4).commit + 1_000_000_000n;
    expect(await read({ fromPosition: { commit: far, prepare: far } })).toEqual([]);
  });

  it('has no events between two positions', async () => {
    const between = { commit: at(1).commit + 3n, prepare: at(1).commit + 3n };
    const failed = { type: 'unknown', code: 2 };
    await expect(read({ fromPosition: between, maxCount: 1 })).rejects.toMatchObject(failed);
    await expect(read({ fromPosition: between, maxCount: 1, direction: BACKWARDS })).rejects.toMatchObject(failed);
  });

  it('begins with events of the server', async () => {
    const [first] = await read({ maxCount: 1 });
    expect(first?.event?.streamId).toMatch(/^\$/);
  });

  it('never answers who wants no event of it', async () => {
    const reading = connected.client.readAll({ maxCount: 0 });
    const answered = vi.fn();
    reading.on('data', answered).on('end', answered).on('error', answered);
    // By the time that a later call is answered, this one would have been.
    for (let nth = 0; nth < 3; nth++) await read({ fromPosition: at(0), maxCount: 5 });
    expect(answered).not.toHaveBeenCalled();
    await reading.cancel();
  });
});
