import { BACKWARDS, END, NO_STREAM, STREAM_EXISTS } from '@eventstore/db-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { all, type Connected, connect, event, named, numbered, ONE_BY_ONE, places } from './double-client.ts';

/* Streams that were deleted, for a time or for ever. */

let connected: Connected;

beforeAll(async () => {
  connected = await connect();
});

afterAll(() => connected.close());

const GONE = { type: 'stream-not-found' };
const DELETED = { type: 'stream-deleted' };

/** A stream of two events, which is then deleted. */
async function deleted(): Promise<string> {
  const stream = named('deleted');
  await connected.client.appendToStream(stream, numbered(2));
  await connected.client.deleteStream(stream, { expectedRevision: 1n });
  return stream;
}

describe('a deleted stream', () => {
  it('is not found', async () => {
    const stream = await deleted();
    await expect(all(connected.client.readStream(stream))).rejects.toMatchObject(GONE);
    const backwards = connected.client.readStream(stream, { direction: BACKWARDS, fromRevision: END });
    await expect(all(backwards)).rejects.toMatchObject(GONE);
  });

  it.each([
    ['as if it were new', NO_STREAM],
    ['where it ended', 1n],
  ] as const)('is written again %s, and goes on counting', async (_how, expectedRevision) => {
    const stream = await deleted();
    const written = await connected.client.appendToStream(stream, event('again'), { expectedRevision });
    expect(written).toMatchObject({ nextExpectedRevision: 2n });
    expect(places(await all(connected.client.readStream(stream)))).toEqual(['deleted@2']);
    expect(places(await all(connected.client.readStream(stream, { fromRevision: 0n })))).toEqual(['deleted@2']);
  });

  it('does not exist, but ends where it ended', async () => {
    const stream = await deleted();
    const onExisting = connected.client.appendToStream(stream, event(1), { expectedRevision: STREAM_EXISTS });
    await expect(onExisting).rejects.toMatchObject(DELETED);
    const tooEarly = connected.client.appendToStream(stream, event(1), { expectedRevision: 0n });
    await expect(tooEarly).rejects.toMatchObject({ type: 'wrong-expected-version', actualVersion: 1n });
  });

  it('is deleted at the revision that it has, and only if there is one', async () => {
    const stream = named('deleted');
    await connected.client.appendToStream(stream, numbered(2));
    await expect(connected.client.deleteStream(stream, { expectedRevision: 5n })).rejects.toMatchObject({
      type: 'wrong-expected-version',
      code: 9,
      expectedVersion: 5n,
      actualVersion: 1n,
    });
    await expect(connected.client.deleteStream(named('nowhere'))).rejects.toMatchObject({ type: 'wrong-expected-version' });
  });

  it('leaves a word of it in $all', async () => {
    const stream = named('deleted');
    await connected.client.appendToStream(stream, numbered(1));
    const { position } = await connected.client.deleteStream(stream);
    const [found] = await all(
      connected.client.readAll({ ...(position !== undefined && { fromPosition: position }), maxCount: 1 }),
    );
    expect(found?.event).toMatchObject({ streamId: `$$${stream}`, type: '$metadata' });
  });
});

describe('a tombstone', () => {
  it('ends a stream for ever', async () => {
    const stream = named('dead');
    await connected.client.appendToStream(stream, numbered(2));
    await connected.client.tombstoneStream(stream);
    await expect(all(connected.client.readStream(stream))).rejects.toMatchObject({ ...DELETED, streamName: stream });
    await expect(connected.client.appendToStream(stream, event(1))).rejects.toMatchObject({ ...DELETED, streamName: stream });
    await expect(connected.client.appendToStream(stream, event(1), ONE_BY_ONE)).rejects.toMatchObject(DELETED);
    await expect(connected.client.tombstoneStream(stream)).rejects.toMatchObject(DELETED);
  });

  it('stands also where no stream was', async () => {
    const stream = named('dead');
    await connected.client.tombstoneStream(stream, { expectedRevision: NO_STREAM });
    await expect(connected.client.appendToStream(stream, event(1))).rejects.toMatchObject(DELETED);
  });
});
