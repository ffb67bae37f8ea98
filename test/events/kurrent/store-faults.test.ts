import { describe, expect, it, vi } from 'vitest';
import type { BatchFailure, BatchResult, NewEvent, Store } from '../../../src/events/store.ts';
import { openTestStore, useDouble } from '../../support/kurrent-store.ts';
import { batchOf, claimOf, lastOf, newStream, plain, refusal, stored, written } from '../contract/batches.ts';

/* What becomes of appends while the server, or the way to it, does what servers do. */

const on = useDouble();
const server = () => on.server;
const store = () => on.store;

/** Appends one batch, and says how it fared. */
async function append(batch: Parameters<Store['append']>[0][number]): Promise<BatchResult | BatchFailure> {
  const [result] = await store().append([batch]);
  if (result === undefined) throw new Error('no result');
  return result;
}

/** That exactly these events stand in a stream. */
async function expectStream(stream: string, events: readonly NewEvent[]): Promise<void> {
  await vi.waitFor(async () => expect(await store().readStream(stream, { limit: 100 })).toEqual(stored(events)), {
    timeout: 10_000,
  });
}

const appends = { operations: ['append'] as const };

describe('a batch is written once', () => {
  it.each<[what: string, fault: () => void]>([
    ['whose answer is lost', () => server().faults.loseAnswer({ ...appends, times: 1 })],
    ['whose answer is lost again and again', () => server().faults.loseAnswer({ ...appends, times: 3 })],
    ['whose connection breaks before', () => server().faults.drop({ ...appends, times: 2 })],
    ['that the server has written and calls timed out', () => server().faults.timeout(true, { times: 1 })],
    ['that the server has not written and calls timed out', () => server().faults.timeout(false, { times: 2 })],
    ['while the server is starting', () => server().faults.notReady({ ...appends, times: 3 })],
    ['while the server has too much to do', () => server().faults.busy({ ...appends, times: 3 })],
    ['that is answered late', () => server().faults.late(700, { ...appends, times: 1 })],
    ['to whose first attempt the server is silent', () => server().faults.hang({ ...appends, times: 1 })],
  ])('%s', async (_, fault) => {
    const stream = newStream();
    const first = batchOf(stream, [{ claims: [claimOf('a')] }, {}]);
    fault();
    expect(await append(first)).toEqual({ accepted: true, revision: 1 });
    const next = batchOf(stream, plain(1), lastOf(first.events));
    await written(store(), next);
    await expectStream(stream, [...first.events, ...next.events]);
  });

  it('that the server sends to its leader', async () => {
    const { hostname, port } = new URL(server().url.replace('esdb:', 'http:'));
    server().faults.notLeader({ host: hostname, port: Number(port) }, { ...appends, times: 1 });
    const stream = newStream();
    const batch = batchOf(stream, plain(1));
    expect(await append(batch)).toEqual({ accepted: true, revision: 0 });
    await expectStream(stream, batch.events);
  });

  it('and a later one behind it by another process is no reason to write it again', async () => {
    const other = await openTestStore(server().url, on.database.url);
    const stream = newStream();
    const batch = batchOf(stream, plain(1));
    const next = batchOf(stream, plain(1), lastOf(batch.events));
    // The first answer is lost; when the batch is sent again, somebody has already gone on behind it.
    server().faults.loseAnswer({ ...appends, times: 1 });
    server().faults.late(300, { ...appends, times: 1 });
    const result = append(batch);
    await vi.waitFor(async () => expect((await other.store.append([next]))[0]).toMatchObject({ accepted: true }), {
      timeout: 5_000,
    });
    expect(await result).toEqual({ accepted: true, revision: 0 });
    await expectStream(stream, [...batch.events, ...next.events]);
    await other.close();
  });
});

describe('a server that stays silent', () => {
  it('leaves the outcome unknown, and the batch can be written later', { timeout: 40_000 }, async () => {
    server().faults.hang(appends);
    const stream = newStream();
    const batch = batchOf(stream, plain(1));
    expect(await append(batch)).toMatchObject({ failed: { name: 'OutcomeUnknownError' } });
    server().faults.clear();
    expect(await append(batch)).toEqual({ accepted: true, revision: 0 });
    await expectStream(stream, batch.events);
  });

  it('and writes what it was sent when it thaws, has written it once', { timeout: 40_000 }, async () => {
    const stream = newStream();
    const batch = batchOf(stream, plain(2));
    // With its connection open, so that the server has the batch before it freezes.
    await written(store(), batchOf(newStream(), plain(1)));
    server().faults.freeze();
    expect(await append(batch)).toMatchObject({
      failed: { name: expect.stringMatching(/^(?:OutcomeUnknown|StoreUnavailable)Error$/) },
    });
    server().faults.thaw();
    await expectStream(stream, batch.events);
    expect((await append(batch)).accepted).not.toBe(undefined);
    await expectStream(stream, batch.events);
  });

  it('about one stream holds up no other of its group', async () => {
    const [silent, fine] = [newStream('silent'), newStream('fine')];
    server().faults.hang({ ...appends, streams: (name) => name.includes('silent') });
    const batches = [batchOf(silent, plain(1)), batchOf(fine, plain(1))];
    const [first, second] = await store().append(batches);
    expect(first).toMatchObject({ failed: { name: 'OutcomeUnknownError' } });
    expect(second).toEqual({ accepted: true, revision: 0 });
  });

  it('when asked for a head, confirms nothing', { timeout: 40_000 }, async () => {
    const stream = newStream();
    await written(store(), batchOf(stream, plain(1)));
    server().faults.hang({ operations: ['read'] });
    const result = await append({ stream, expectedRevision: 0, events: [], unclaimed: [] });
    expect(result).toMatchObject({ failed: { name: 'StoreUnavailableError' } });
    await expect(store().readStream(stream, { limit: 1 })).rejects.toMatchObject({ name: 'StoreUnavailableError' });
  });
});

describe('a server that is away', () => {
  it('refuses everything in a bounded time, and goes on when it is back', { timeout: 60_000 }, async () => {
    const stream = newStream();
    const batch = batchOf(stream, plain(1));
    await server().stop();
    const results = await Promise.allSettled([append(batch), store().readStream(stream, { limit: 1 }), store().lastPosition()]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected']);
    expect(results[0]).toMatchObject({ value: { failed: { name: expect.stringMatching(/Error$/) } } });
    await server().start();
    await vi.waitFor(async () => expect(await append(batch)).toMatchObject({ accepted: true }), { timeout: 20_000 });
    await expectStream(stream, batch.events);
  });
});

describe('the whole log', () => {
  const reads = { operations: ['read', 'subscribe'], times: 1 } as const;

  it.each<[what: string, fault: () => void]>([
    ['whose connection breaks', () => server().faults.drop(reads)],
    ['of a server that is starting', () => server().faults.notReady(reads)],
    ['of a server that has too much to do', () => server().faults.busy(reads)],
  ])('%s is read all the same', async (_, fault) => {
    const stream = newStream();
    const start = await store().lastPosition();
    const events = await written(store(), batchOf(stream, plain(2)));
    fault();
    const read = await store().readAll({ after: start, limit: 10 });
    expect(read.map(({ id }) => id)).toEqual(events.map(({ id }) => id));
    fault();
    expect(await store().lastPosition()).toBe(lastOf(read).position);
  });

  it('is read more often than one connection lets searches be ended', async () => {
    const start = await store().lastPosition();
    // nghttp2, which the double stands on, ends a connection after a thousand, and 33 a second.
    for (let searches = 0; searches < 1_200; searches += 1) expect(await store().readAll({ after: start, limit: 1 })).toEqual([]);
  });
});

describe('a conflict', () => {
  it('brings what readers see only a moment later', async () => {
    const stream = newStream();
    const base = await written(store(), batchOf(stream, plain(1)));
    server().faults.lag();
    const winner = await written(store(), batchOf(stream, plain(1), lastOf(base)));
    const reads = server().faults.late(0, { operations: ['read'] });
    const losing = append(batchOf(stream, plain(1), lastOf(base)));
    await vi.waitFor(() => expect(reads.hits).toBeGreaterThan(2), { timeout: 10_000 });
    server().faults.catchUp();
    expect(refusal([await losing]).missing).toEqual(stored(winner));
  });
});

describe('what the server can never take', () => {
  it('is refused alone, and says why', async () => {
    const [large, fine] = [newStream(), newStream()];
    const much = { text: 'x'.repeat(300_000) };
    const batches = [
      batchOf(
        large,
        Array.from({ length: 4 }, () => ({ data: much })),
      ),
      batchOf(fine, plain(1)),
    ];
    const [first, second] = await store().append(batches);
    expect(first).toMatchObject({ failed: { message: expect.stringMatching(/can't take an append/) } });
    expect(second).toEqual({ accepted: true, revision: 0 });
    expect(await store().readStream(large, { limit: 1 })).toEqual([]);
  });
});
