import { END, type Filter, type Position, START, streamNameFilter } from '@eventstore/db-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { all, type Connected, connect, named, numbered, places, type Seen, watch } from './double-client.ts';

/* What a subscriber is told, and when. */

let connected: Connected;

beforeAll(async () => {
  connected = await connect();
});

afterAll(() => connected.close());

const write = (stream: string, count = 1) => connected.client.appendToStream(stream, numbered(count));

describe('to a stream', () => {
  it('gives what was written, says that it caught up, and gives what is written', async () => {
    const stream = named('mine');
    await write(stream, 2);
    const subscription = connected.client.subscribeToStream(stream);
    const { seen, until } = watch(subscription);
    await until('caught up');
    await write(stream);
    await until('mine@2');
    expect(seen).toEqual(['confirmed', 'mine@0', 'mine@1', 'caught up', 'mine@2']);
    await subscription.unsubscribe();
    await until('end');
  });

  it('begins after a revision, also after one that is only written later', async () => {
    const stream = named('mine');
    await write(stream, 2);
    const after = connected.client.subscribeToStream(stream, { fromRevision: 0n });
    const ahead = connected.client.subscribeToStream(stream, { fromRevision: 2n });
    const [first, second] = [watch(after), watch(ahead)];
    await Promise.all([first.until('caught up'), second.until('caught up')]);
    await write(stream, 2);
    await Promise.all([first.until('mine@3'), second.until('mine@3')]);
    expect(first.seen).toEqual(['confirmed', 'mine@1', 'caught up', 'mine@2', 'mine@3']);
    expect(second.seen).toEqual(['confirmed', 'caught up', 'mine@3']);
    await Promise.all([after.unsubscribe(), ahead.unsubscribe()]);
  });

  it('waits for a stream that is not there', async () => {
    const stream = named('mine');
    const subscription = connected.client.subscribeToStream(stream);
    const { seen, until } = watch(subscription);
    await until('confirmed');
    await write(stream, 2);
    await until('caught up');
    expect(seen).toEqual(['confirmed', 'mine@0', 'mine@1', 'caught up']);
    await subscription.unsubscribe();
  });

  it('ends with an error when the stream is gone for ever', async () => {
    const stream = named('mine');
    await write(stream);
    const { seen, errors, until } = watch(connected.client.subscribeToStream(stream, { fromRevision: END }));
    await until('caught up');
    await connected.client.tombstoneStream(stream);
    await until('error');
    expect(seen).toEqual(['confirmed', 'caught up', 'mine@9223372036854775807', 'error']);
    expect(errors).toMatchObject([{ type: 'stream-deleted', streamName: stream }]);
    const late = watch(connected.client.subscribeToStream(stream));
    await late.until('error');
    expect(late.errors).toMatchObject([{ type: 'stream-deleted' }]);
  });
});

describe('to $all', () => {
  let start: Position;

  beforeAll(async () => {
    start = (await write(named('start'))).position ?? { commit: 0n, prepare: 0n };
  });

  const subscribe = (fromPosition: Position | typeof START | typeof END, filter?: Filter): Seen & { end(): Promise<void> } => {
    const subscription = connected.client.subscribeToAll({ fromPosition, ...(filter !== undefined && { filter }) });
    return { ...watch(subscription), end: () => subscription.unsubscribe() };
  };

  it('begins after a position, and goes on live', async () => {
    const stream = named('after');
    const first = await write(stream, 2);
    await write(stream);
    const { seen, until, end } = subscribe(first.position ?? START, streamNameFilter({ prefixes: [stream] }));
    await until('caught up');
    await write(stream);
    await until('after@3');
    expect(seen).toEqual(['confirmed', 'after@2', 'caught up', 'after@3']);
    await end();
  });

  it('gives what the filter lets through, by the beginning of a name or by an expression', async () => {
    const [mine, other] = [named('through'), named('not')];
    await write(mine);
    await write(other);
    const filters = [streamNameFilter({ prefixes: [mine, 'nothing'] }), streamNameFilter({ regex: `^${mine}$` })];
    for (const filter of filters) {
      const { seen, until, end } = subscribe(start, filter);
      await until('caught up');
      await write(other);
      const from = seen.length;
      const { nextExpectedRevision } = await write(mine);
      await until(`through@${nextExpectedRevision}`);
      expect(seen.slice(from)).toEqual([`through@${nextExpectedRevision}`]);
      expect(seen.some((what) => what.startsWith('not@'))).toBe(false);
      await end();
    }
  });

  it('from the end gives what is written from now on, and so it does from beyond', async () => {
    const stream = named('end');
    const { position } = await write(stream);
    const far = (position?.commit ?? 0n) + 1_000_000_000n;
    const filter = streamNameFilter({ prefixes: [stream] });
    for (const from of [END, { commit: far, prepare: far }] as const) {
      const { seen, until, end } = subscribe(from, filter);
      await until('caught up');
      const { nextExpectedRevision } = await write(stream);
      await until(`end@${nextExpectedRevision}`);
      expect(seen).toEqual(['confirmed', 'caught up', `end@${nextExpectedRevision}`]);
      await end();
    }
  });

  it('begins at no place between two positions, nor where more is prepared than committed', async () => {
    const { commit, prepare } = start;
    for (const from of [
      { commit: commit + 3n, prepare: prepare + 3n },
      { commit, prepare: prepare + 1n },
    ]) {
      const { errors, until } = subscribe(from);
      await until('error');
      expect(errors).toMatchObject([{ type: 'unknown', code: 2 }]);
    }
  });

  it('takes no expression that is none', async () => {
    const { errors, until } = subscribe(start, streamNameFilter({ regex: '(((' }));
    await until('error');
    expect(errors).toMatchObject([{ type: 'unknown', code: 2 }]);
  });
});

describe('checkpoints', () => {
  const WINDOW = 5;
  const mine = named('mine');
  const other = named('other');
  let start: Position;

  beforeAll(async () => {
    start = (await write(named('start'))).position ?? { commit: 0n, prepare: 0n };
    await write(mine, 2);
    await write(other, 18);
    await write(mine, 1);
  });

  const run = (options: { maxSearchWindow?: number; checkpointInterval?: number }): Seen & { end(): Promise<void> } => {
    const subscription = connected.client.subscribeToAll({
      fromPosition: start,
      filter: streamNameFilter({
        prefixes: [mine],
        ...options,
        checkpointReached: async (_subscription, { commit, prepare }) => {
          watched.seen.push(checkpoint(commit, prepare));
        },
      }),
    });
    const watched = watch(subscription);
    return { ...watched, end: () => subscription.unsubscribe() };
  };

  const checkpoint = (commit: bigint, prepare: bigint) => `checkpoint ${commit}, prepared ${prepare}`;

  /** What stands in each full window, and the checkpoint after it: where its last event of ours stands, or where it began. */
  const expected = async (): Promise<string[]> => {
    const events = (await all(connected.client.readAll({ fromPosition: start, maxCount: 500 }))).slice(1);
    const found: string[] = [];
    for (let from = 0; from + WINDOW <= events.length; from += WINDOW) {
      const window = events.slice(from, from + WINDOW);
      const ours = window.filter(({ event }) => event?.streamId === mine);
      const began = window[0]?.event?.position?.commit ?? 0n;
      const last = ours.at(-1)?.event?.position?.commit;
      found.push(...places(ours), last === undefined ? checkpoint(began, 0n) : checkpoint(last, last));
    }
    return found;
  };

  it('come after each full window', async () => {
    const { seen, until, end } = run({ maxSearchWindow: WINDOW });
    await until('caught up');
    const first = (lines: readonly string[]) => lines.filter((line) => line !== 'confirmed').slice(0, 6);
    // Two events and their checkpoint, and three windows without any.
    expect(first(seen)).toEqual(first(await expected()));
    expect(first(seen).map((line) => line.split(' ')[0])).toEqual(['mine@0', 'mine@1', ...Array(4).fill('checkpoint')]);
    await end();
  });

  it('come live as well, at the event that made the interval full', async () => {
    const { seen, until, end } = run({ maxSearchWindow: WINDOW, checkpointInterval: 2 });
    await until('caught up');
    const from = seen.length;
    await write(other, 2 * WINDOW);
    await until(() => seen.length > from);
    expect(seen[from]).toMatch(/^checkpoint (\d+), prepared \1$/);
    await end();
  });

  it('do not come before a window is full', async () => {
    const { seen, until, end } = run({ maxSearchWindow: 100_000 });
    await until('caught up');
    expect(seen).toEqual(['confirmed', 'mine@0', 'mine@1', 'mine@2', 'caught up']);
    await end();
  });
});
