import { describe, expect, it } from 'vitest';
import { NO_STREAM } from '../../../src/events/store.ts';
import type { Subject } from '../store-contract.ts';
import { batchOf, confirmation, lastOf, newStream, plain, refusal, stored, written } from './batches.ts';

/** What a store takes, and what it answers then. */
export function appendingContract(subject: Subject): void {
  describe('append', () => {
    it('writes the first events of a stream, and reads them back to the letter', async () => {
      const { store } = subject();
      const stream = newStream();
      const data = { text: 'naïve "quotes" \\ 🜚 {}', zero: 0, nested: { list: [1, 0.1, null, true], empty: {} } };
      const batch = batchOf(stream, [{ data }, { data: { 'odd,{}': '\t\n' } }]);
      expect(await store.append([batch])).toEqual([{ accepted: true, revision: 1 }]);
      expect(await store.readStream(stream, { limit: 10 })).toEqual(stored(batch.events));
    });

    it('extends a stream behind its head', async () => {
      const { store } = subject();
      const stream = newStream();
      const first = await written(store, batchOf(stream, plain(3)));
      const next = batchOf(stream, plain(2), lastOf(first));
      expect(await store.append([next])).toEqual([{ accepted: true, revision: 4 }]);
      expect(await store.readStream(stream, { limit: 10 })).toEqual(stored([...first, ...next.events]));
    });

    it('takes an event of 256 KiB', async () => {
      const { store } = subject();
      const stream = newStream();
      const batch = batchOf(stream, [{ data: { text: 'ä'.repeat(128 * 1024) } }]);
      await written(store, batch);
      expect(await store.readStream(stream, { limit: 1 })).toEqual(stored(batch.events));
    });

    it('answers for many streams in the order in which they were given', async () => {
      const { store } = subject();
      const batches = Array.from({ length: 40 }, (_, index) => batchOf(newStream(), plain((index % 4) + 1)));
      const results = await store.append(batches);
      expect(results).toEqual(batches.map(({ events }) => ({ accepted: true, revision: events.length - 1 })));
      const reads = await Promise.all(batches.map(({ stream }) => store.readStream(stream, { limit: 10 })));
      expect(reads).toEqual(batches.map(({ events }) => stored(events)));
    });

    it('takes nothing of no batches', async () => {
      expect(await subject().store.append([])).toEqual([]);
    });
  });

  confirmingContract(subject);

  describe('an event id', () => {
    it('stands once in the log: the same event again is no second one', async () => {
      const { store } = subject();
      const stream = newStream();
      const batch = batchOf(stream, plain(1));
      await written(store, batch);
      // A store may know the repeat and take it for what it is, or refuse it since the head is elsewhere.
      const [again] = await store.append([batch]);
      expect(again?.accepted === true || refusal([again ?? { failed: 'no answer' }]).missing.length === 1).toBe(true);
      expect(await store.readStream(stream, { limit: 10 })).toEqual(stored(batch.events));
    });
  });
}

function confirmingContract(subject: Subject): void {
  describe('an empty batch', () => {
    it('confirms the head, and writes nothing', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = await written(store, batchOf(stream, plain(2)));
      expect(await store.append([confirmation(stream, 1)])).toEqual([{ accepted: true, revision: 1 }]);
      expect(await store.readStream(stream, { limit: 10 })).toEqual(stored(events));
    });

    it('confirms that a stream is not there, as often as asked', async () => {
      const { store } = subject();
      const stream = newStream();
      const nothing = confirmation(stream, NO_STREAM);
      expect(await store.append([nothing])).toEqual([{ accepted: true, revision: NO_STREAM }]);
      expect(await store.append([nothing])).toEqual([{ accepted: true, revision: NO_STREAM }]);
      const first = batchOf(stream, plain(1));
      expect(await store.append([first])).toEqual([{ accepted: true, revision: 0 }]);
      expect(await store.readStream(stream, { limit: 10 })).toEqual(stored(first.events));
    });

    it('is refused on a stale head, with what came since', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = await written(store, batchOf(stream, plain(3)));
      const { missing } = refusal(await store.append([confirmation(stream, 0)]));
      expect(missing).toEqual(stored(events.slice(1)));
    });

    it('is refused on a head that the stream has not reached', async () => {
      const { store } = subject();
      const stream = newStream();
      await written(store, batchOf(stream, plain(1)));
      const { missing } = refusal(await store.append([confirmation(stream, 1)]));
      expect(missing).toEqual([]);
    });
  });
}
