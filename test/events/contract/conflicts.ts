import { describe, expect, it } from 'vitest';
import type { StoredEvent } from '../../../src/events/event-types.ts';
import type { Batch } from '../../../src/events/store.ts';
import type { Subject } from '../store-contract.ts';
import { batchOf, lastOf, newStream, plain, refusal, sealed, stored, written } from './batches.ts';

/** What happens where a stream's head is not where a writer believes it. */
export function conflictContract(subject: Subject): void {
  describe('a conflict', () => {
    it('brings the missing events back, in order', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = await written(store, batchOf(stream, plain(6)));
      const { missing, claimed } = refusal(await store.append([batchOf(stream, plain(1), events[1])]));
      expect(missing).toEqual(stored(events.slice(2)));
      expect(claimed.size).toBe(0);
      expect(await store.readStream(stream, { limit: 10 })).toEqual(stored(events));
    });

    it('on a stream that was believed new brings all of it', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = await written(store, batchOf(stream, plain(3)));
      const { missing } = refusal(await store.append([batchOf(stream, plain(2))]));
      expect(missing).toEqual(stored(events));
    });

    it('brings a thousand events at the most, the oldest of them', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = await written(store, batchOf(stream, plain(1_002)));
      const { missing } = refusal(await store.append([batchOf(stream, plain(1), events[0])]));
      expect(missing).toEqual(stored(events.slice(1, 1_001)));
    });
  });

  mistakenContract(subject);
}

function mistakenContract(subject: Subject): void {
  describe('a conflict', () => {
    it('is what a writer gets who believes in a stream that is not there', async () => {
      const { store } = subject();
      const stream = newStream();
      const imagined = lastOf(sealed(stream, plain(4)));
      const neighbour = batchOf(newStream(), plain(1));
      const results = await store.append([neighbour, batchOf(stream, plain(1), imagined)]);
      expect(results[0]).toEqual({ accepted: true, revision: 0 });
      expect(refusal(results.slice(1)).missing).toEqual([]);
      expect(await store.readStream(stream, { limit: 10 })).toEqual([]);
    });

    it('is what a writer gets who is ahead of the stream', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = await written(store, batchOf(stream, plain(1)));
      const imagined = lastOf(sealed(stream, plain(2), lastOf(events)));
      const { missing } = refusal(await store.append([batchOf(stream, plain(1), imagined)]));
      expect(missing).toEqual([]);
      expect(await store.readStream(stream, { limit: 10 })).toEqual(stored(events));
    });

    it('of some batches of a group leaves the others alone, each whole or not at all', async () => {
      const { store } = subject();
      const streams = Array.from({ length: 9 }, () => newStream());
      const before = await Promise.all(streams.map((stream) => written(store, batchOf(stream, plain(2)))));
      const group = streams.map((stream, index): Batch => {
        const stale = index % 3 === 1;
        return batchOf(stream, plain(3), before[index]?.[stale ? 0 : 1]);
      });
      const results = await store.append(group);
      expect(results.map(({ accepted }) => accepted)).toEqual(streams.map((_, index) => index % 3 !== 1));
      for (const [index, stream] of streams.entries()) {
        const taken = results[index]?.accepted === true ? (group[index]?.events ?? []) : [];
        expect(await store.readStream(stream, { limit: 10 })).toEqual(stored([...(before[index] ?? []), ...taken]));
      }
    });
  });

  describe('writers of one stream at once', () => {
    it('get in one after the other, each behind what it knew', async () => {
      const { another } = subject();
      const stream = newStream();
      const rounds = 15;
      const work = Array.from({ length: 3 }, async () => {
        const store = another();
        let head: StoredEvent | undefined;
        const made: string[] = [];
        while (made.length < rounds) {
          const batch = batchOf(stream, plain(2), head);
          const [result] = await store.append([batch]);
          if (result?.accepted === true) {
            head = lastOf(batch.events);
            made.push(...batch.events.map(({ id }) => id));
          } else head = lastOf(refusal([result ?? { failed: 'no answer' }]).missing);
        }
        return made;
      });
      const made = (await Promise.all(work)).flat();
      const events = await subject().store.readStream(stream, { limit: 1_000 });
      expect(events.map(({ revision }) => revision)).toEqual(made.map((_, index) => index));
      expect(new Set(events.map(({ id }) => id))).toEqual(new Set(made));
    });
  });
}
