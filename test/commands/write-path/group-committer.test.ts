import { describe, expect, it } from 'vitest';
import { GroupCommitter } from '../../../src/commands/write-path/group-committer.ts';
import type { Batch, BatchResult } from '../../../src/events/store.ts';

const FULL = 32;
const TAKEN: BatchResult = { accepted: true, revision: 0 };

/** A store that takes groups when it is told to, in order. */
function createStore() {
  const groups: { readonly streams: readonly string[]; take(): void }[] = [];
  return {
    groups,
    append: (batches: readonly Batch[]) =>
      new Promise<readonly BatchResult[]>((resolve) => {
        groups.push({ streams: batches.map(({ stream }) => stream), take: () => resolve(batches.map(() => TAKEN)) });
      }),
  };
}

const batchOf = (stream: string): Batch => ({ stream, expectedRevision: -1, events: [], fresh: [], unclaimed: [] });
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Appends a batch of each of so many streams, and waits until what may leave has left. */
async function append(committer: GroupCommitter, count: number, name: string): Promise<Promise<BatchResult>[]> {
  const results = Array.from({ length: count }, (_, index) =>
    committer.append(() => ({ batch: batchOf(`${name} ${index}`), bytes: 1_000 })),
  );
  await turn();
  await turn();
  return results;
}

describe('a second group', () => {
  it('waits for the first one, with all that comes meanwhile, as long as it is not full', async () => {
    const store = createStore();
    const committer = new GroupCommitter(store);
    const first = await append(committer, 1, 'first');
    const second = await append(committer, FULL - 2, 'second');
    second.push(...(await append(committer, 1, 'third')));
    expect(store.groups.map(({ streams }) => streams.length)).toEqual([1]);
    store.groups[0]?.take();
    expect(await Promise.all(first)).toEqual([TAKEN]);
    await turn();
    expect(store.groups.map(({ streams }) => streams.length)).toEqual([1, FULL - 1]);
    store.groups[1]?.take();
    expect(await Promise.all(second)).toEqual(Array.from({ length: FULL - 1 }, () => TAKEN));
  });

  it('leaves at once when it is full; a third one waits, full or not', async () => {
    const store = createStore();
    const committer = new GroupCommitter(store);
    const all = await append(committer, FULL * 3, 'many');
    expect(store.groups.map(({ streams }) => streams.length)).toEqual([FULL, FULL]);
    store.groups[1]?.take();
    await turn();
    expect(store.groups.map(({ streams }) => streams.length)).toEqual([FULL, FULL, FULL]);
    for (const group of store.groups) group.take();
    expect(await Promise.all(all)).toHaveLength(FULL * 3);
  });

  it('leaves at once where the store takes several at once', async () => {
    const store = createStore();
    const committer = new GroupCommitter(store, { inOrder: false });
    const all = [await append(committer, 1, 'first'), await append(committer, 1, 'second'), await append(committer, 1, 'third')];
    expect(store.groups.map(({ streams }) => streams)).toEqual([['first 0'], ['second 0']]);
    for (let group = 0; group < 3; group += 1) {
      store.groups[group]?.take();
      await turn();
    }
    expect(await Promise.all(all.flat())).toEqual([TAKEN, TAKEN, TAKEN]);
  });

  it('leaves when it has no room for what comes next', async () => {
    const store = createStore();
    const committer = new GroupCommitter(store);
    const large = Array.from({ length: 3 }, (_, index) =>
      committer.append(() => ({ batch: batchOf(`large ${index}`), bytes: 300 * 1024 })),
    );
    await turn();
    await turn();
    expect(store.groups.map(({ streams }) => streams)).toEqual([['large 0'], ['large 1']]);
    for (let group = 0; group < 3; group += 1) {
      store.groups[group]?.take();
      await turn();
    }
    expect(await Promise.all(large)).toEqual([TAKEN, TAKEN, TAKEN]);
  });
});
