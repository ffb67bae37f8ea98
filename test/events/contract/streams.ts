import { describe, expect, it } from 'vitest';
import type { Subject } from '../store-contract.ts';
import { batchOf, newStream, plain, stored, written } from './batches.ts';

/** Reading streams. */
export function streamContract(subject: Subject): void {
  describe('readStream', () => {
    it('reads forward from the start, from a revision, and no more than was asked', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = stored(await written(store, batchOf(stream, plain(6))));
      expect(await store.readStream(stream, { limit: 10 })).toEqual(events);
      expect(await store.readStream(stream, { limit: 2 })).toEqual(events.slice(0, 2));
      expect(await store.readStream(stream, { from: 3, limit: 2 })).toEqual(events.slice(3, 5));
      expect(await store.readStream(stream, { from: 5, limit: 10 })).toEqual(events.slice(5));
      expect(await store.readStream(stream, { from: 6, limit: 10 })).toEqual([]);
    });

    it('reads backward from the end, from a revision, and no more than was asked', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = stored(await written(store, batchOf(stream, plain(6)))).toReversed();
      expect(await store.readStream(stream, { direction: 'backward', limit: 10 })).toEqual(events);
      expect(await store.readStream(stream, { direction: 'backward', limit: 1 })).toEqual(events.slice(0, 1));
      expect(await store.readStream(stream, { direction: 'backward', from: 2, limit: 2 })).toEqual(events.slice(3, 5));
      expect(await store.readStream(stream, { direction: 'backward', from: 0, limit: 2 })).toEqual(events.slice(5));
    });

    it('finds nothing in a stream that is not there', async () => {
      const { store } = subject();
      expect(await store.readStream(newStream(), { limit: 1 })).toEqual([]);
      expect(await store.readStream(newStream(), { direction: 'backward', limit: 1 })).toEqual([]);
    });

    it('takes names with any characters', async () => {
      const { store } = subject();
      const stream = newStream(`account-ünï "quoted", {braces}\\ ' % 🜚`);
      const events = await written(store, batchOf(stream, plain(1)));
      expect(await store.readStream(stream, { limit: 1 })).toEqual(stored(events));
    });
  });

  rangesContract(subject);
}

function rangesContract(subject: Subject): void {
  describe('readStreams', () => {
    it('reads a range of each, in order', async () => {
      const { store } = subject();
      const names = [newStream('b'), newStream('a'), newStream('c')];
      const batches = names.map((stream) => batchOf(stream, plain(5)));
      await store.append(batches);
      const [b, a, c] = batches.map(({ events }) => stored(events));
      const ranges = [
        { stream: names[0] ?? '', from: 1, to: 3 },
        { stream: names[1] ?? '', from: 0, to: 0 },
        { stream: names[2] ?? '', from: 3, to: 99 },
        { stream: newStream('nowhere'), from: 0, to: 5 },
      ];
      const found = await store.readStreams(ranges);
      expect(found).toHaveLength(6);
      const of = (name: string | undefined) => found.filter(({ stream }) => stream === name);
      expect(of(names[0])).toEqual(b?.slice(1, 4));
      expect(of(names[1])).toEqual(a?.slice(0, 1));
      expect(of(names[2])).toEqual(c?.slice(3));
    });

    it('reads nothing of empty ranges', async () => {
      const { store } = subject();
      const stream = newStream();
      await written(store, batchOf(stream, plain(2)));
      expect(
        await store.readStreams([
          { stream, from: 2, to: 5 },
          { stream, from: 1, to: 0 },
        ]),
      ).toEqual([]);
      expect(await store.readStreams([])).toEqual([]);
    });
  });
}
