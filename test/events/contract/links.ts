import { describe, expect, it } from 'vitest';
import type { Subject } from '../store-contract.ts';
import { batchOf, lastOf, newStream, plain, refusal, stored, written } from './batches.ts';

/** Which event was the last about an earlier one. */
export function linksContract(subject: Subject): void {
  describe('lastAbout', () => {
    it('gives each event that exists, and the last about it where there is one', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = await written(store, batchOf(stream, [{}, {}, {}, { about: [0, 2] }]));
      const [untouched, , settled, settling] = stored(events);
      const standings = await store.lastAbout(stream, [1, 2, 7]);
      expect(new Set(standings.keys())).toEqual(new Set([1, 2]));
      expect(standings.get(1)).toEqual({ event: stored(events)[1], last: undefined });
      expect(standings.get(2)).toEqual({ event: settled, last: settling });
      expect((await store.lastAbout(stream, [0])).get(0)).toEqual({ event: untouched, last: settling });
    });

    it('gives the newest of several, of one batch and of later ones', async () => {
      const { store } = subject();
      const stream = newStream();
      const first = await written(store, batchOf(stream, [{}, { about: [0] }, { about: [0] }]));
      expect((await store.lastAbout(stream, [0])).get(0)?.last).toEqual(stored(first)[2]);
      const next = await written(store, batchOf(stream, [{ about: [0, 1] }, {}], lastOf(first)));
      const standings = await store.lastAbout(stream, [0, 1]);
      expect(standings.get(0)?.last).toEqual(stored(next)[0]);
      expect(standings.get(1)).toEqual({ event: stored(first)[1], last: stored(next)[0] });
    });

    it('knows of an event however long ago it was', async () => {
      const { store } = subject();
      const stream = newStream();
      const first = await written(store, batchOf(stream, [{}, { about: [0] }]));
      await written(store, batchOf(stream, plain(1_500), lastOf(first)));
      expect((await store.lastAbout(stream, [0])).get(0)?.last).toEqual(stored(first)[1]);
    });

    it('knows nothing of a batch that was refused', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = await written(store, batchOf(stream, plain(2)));
      refusal(await store.append([batchOf(stream, [{ about: [0] }], events[0])]));
      expect((await store.lastAbout(stream, [0])).get(0)?.last).toBeUndefined();
    });

    it('keeps streams apart', async () => {
      const { store } = subject();
      const [stream, other] = [newStream(), newStream()];
      await written(store, batchOf(stream, [{}, { about: [0] }]));
      const alone = await written(store, batchOf(other, plain(1)));
      expect((await store.lastAbout(other, [0])).get(0)).toEqual({ event: stored(alone)[0], last: undefined });
    });

    it('knows nothing of what is not there', async () => {
      const { store } = subject();
      const stream = newStream();
      expect((await store.lastAbout(stream, [0])).size).toBe(0);
      await written(store, batchOf(stream, plain(1)));
      expect((await store.lastAbout(stream, [])).size).toBe(0);
    });
  });
}
