import { describe, expect, it } from 'vitest';
import type { Subject } from '../store-contract.ts';
import { batchOf, lastOf, newStream, plain, readToEnd, refusal, stored, written } from './batches.ts';

/** Reading the whole log. */
export function logContract(subject: Subject): void {
  describe('readAll', () => {
    it('reads behind a position, in commit order, no more than was asked', async () => {
      const { store } = subject();
      const [stream, other] = [newStream(), newStream()];
      const start = await store.lastPosition();
      const first = await written(store, batchOf(stream, plain(2)));
      const second = await written(store, batchOf(other, plain(2)));
      const third = await written(store, batchOf(stream, plain(1), lastOf(first)));
      const all = await store.readAll({ after: start, limit: 100 });
      expect(all).toMatchObject(stored([...first, ...second, ...third]));
      expect(await store.readAll({ after: start, limit: 3 })).toEqual(all.slice(0, 3));
      expect(await store.readAll({ after: all[1]?.position ?? '', limit: 2 })).toEqual(all.slice(2, 4));
      expect(await store.readAll({ after: lastOf(all).position, limit: 2 })).toEqual([]);
    });

    it('keeps the batches of a group in the order in which they were given', async () => {
      const { store } = subject();
      const start = await store.lastPosition();
      const batches = ['z', 'a', 'm'].map((name) => batchOf(newStream(name), plain(2)));
      await store.append(batches);
      const all = await store.readAll({ after: start, limit: 100 });
      expect(all).toMatchObject(stored(batches.flatMap(({ events }) => events)));
    });

    it('shows nothing of a batch that was refused', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = await written(store, batchOf(stream, plain(2)));
      const start = await store.lastPosition();
      refusal(await store.append([batchOf(stream, plain(1), events[0])]));
      expect(await store.lastPosition()).toBe(start);
      expect(await store.readAll({ after: start, limit: 1 })).toEqual([]);
    });
  });

  describe('lastPosition', () => {
    it('is that of the last event', async () => {
      const { store } = subject();
      const start = await store.lastPosition();
      await written(store, batchOf(newStream(), plain(3)));
      expect(await store.lastPosition()).toBe(lastOf(await store.readAll({ after: start, limit: 10 })).position);
    });
  });

  pollingContract(subject);
}

function pollingContract(subject: Subject): void {
  describe('readAll, again and again,', () => {
    it('gives every event once while many write', async () => {
      const { store, another } = subject();
      const start = await store.lastPosition();
      const [writers, rounds] = [4, 15];
      const writing = Array.from({ length: writers }, async () => {
        const own = another();
        const ids: string[] = [];
        for (let round = 0; round < rounds; round += 1) {
          const group = Array.from({ length: 3 }, (_, index) => batchOf(newStream(), plain(index + 1)));
          await own.append(group);
          ids.push(...group.flatMap(({ events }) => events.map(({ id }) => id)));
        }
        return ids;
      });
      const total = writers * rounds * 6;
      const seen: string[] = [];
      for (let position = start; seen.length < total; ) {
        const page = await store.readAll({ after: position, limit: 10 });
        position = page.at(-1)?.position ?? position;
        seen.push(...page.map(({ id }) => id));
      }
      const made = (await Promise.all(writing)).flat();
      expect(new Set(seen)).toEqual(new Set(made));
      expect(seen).toHaveLength(total);
      expect((await readToEnd(store, start)).map(({ id }) => id)).toEqual(seen);
    });
  });
}
