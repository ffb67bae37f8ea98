import { describe, expect, it, onTestFinished } from 'vitest';
import type { Position, Store } from '../../../src/events/store.ts';
import type { Subject } from '../store-contract.ts';
import { batchOf, lastOf, newStream, plain, written } from './batches.ts';

/** A reader that follows the log from behind a position, and stops with the test if not before. */
export function followed(store: Store, after: Position, limit = 5) {
  const ending = new AbortController();
  onTestFinished(() => ending.abort());
  const iterator = store.subscribe({ after, limit, signal: ending.signal })[Symbol.asyncIterator]();
  const ids: string[] = [];
  let position = after;
  return {
    ids,
    /** Where it stands. */
    position: () => position,
    /** Reads on until it has seen so many events in all. Returns their ids. */
    async until(count: number): Promise<readonly string[]> {
      while (ids.length < count) {
        const next = await iterator.next();
        if (next.done === true) throw new Error(`the subscription ended after ${ids.length} of ${count} events`);
        const { value } = next;
        if (value.length === 0 || value.length > limit) throw new Error(`${value.length} events at a time`);
        ids.push(...value.map(({ id }) => id));
        position = lastOf(value).position;
      }
      return ids;
    },
    /** Asks for what comes next, without reading anything of it. */
    next: () => iterator.next(),
    end: () => ending.abort(),
  };
}

/** Following the log. */
export function subscriptionContract(subject: Subject): void {
  describe('subscribe', () => {
    it('catches up, then goes on live', async () => {
      const { store, another } = subject();
      const reader = followed(store, await store.lastPosition());
      const past = await written(store, batchOf(newStream(), plain(12)));
      expect(await reader.until(12)).toEqual(past.map(({ id }) => id));
      const ids = past.map(({ id }) => id);
      for (let round = 0; round < 3; round += 1) {
        const waiting = reader.until(ids.length + 2);
        const live = await written(another(), batchOf(newStream(), plain(2)));
        ids.push(...live.map(({ id }) => id));
        expect(await waiting).toEqual(ids);
      }
    });

    it('starts behind a position in the middle', async () => {
      const { store } = subject();
      const start = await store.lastPosition();
      const events = await written(store, batchOf(newStream(), plain(8)));
      const middle = (await store.readAll({ after: start, limit: 3 })).at(-1)?.position ?? '';
      const reader = followed(store, middle, 2);
      expect(await reader.until(5)).toEqual(events.slice(3).map(({ id }) => id));
      const again = followed(store, reader.position());
      const more = await written(store, batchOf(newStream(), plain(1)));
      expect(await again.until(1)).toEqual(more.map(({ id }) => id));
    });

    it('ends when told to while it waits', async () => {
      const { store } = subject();
      const reader = followed(store, await store.lastPosition());
      const waiting = reader.next();
      reader.end();
      expect(await waiting).toEqual({ done: true, value: undefined });
    });

    it('ends when told to before it began, and when told to while it has more', async () => {
      const { store } = subject();
      const start = await store.lastPosition();
      await written(store, batchOf(newStream(), plain(9)));
      const never = followed(store, start);
      never.end();
      expect(await never.next()).toMatchObject({ done: true });
      const reader = followed(store, start);
      await reader.until(5);
      reader.end();
      expect(await reader.next()).toMatchObject({ done: true });
    });

    it('serves several readers, each from where it stands', async () => {
      const { store, another } = subject();
      const start = await store.lastPosition();
      const events = await written(store, batchOf(newStream(), plain(6)));
      const ids = events.map(({ id }) => id);
      const readers = [followed(store, start, 1), followed(another(), start, 4), followed(another(), start, 100)];
      expect(await Promise.all(readers.map((reader) => reader.until(6)))).toEqual([ids, ids, ids]);
    });
  });
}
