import { describe, expect, it } from 'vitest';
import type { Subject } from '../store-contract.ts';
import { batchOf, claimOf, confirmation, lastOf, newStream, plain, refusal, stored, written } from './batches.ts';

/** What may stand once in a stream, for ever. */
export function claimsContract(subject: Subject): void {
  describe('a claim', () => {
    it('that stands already refuses the batch, with the event that holds it', async () => {
      const { store } = subject();
      const stream = newStream();
      const [claim, free] = [claimOf('taken'), claimOf('free')];
      const events = await written(store, batchOf(stream, [{}, { claims: [claim] }, {}]));
      const next = batchOf(stream, [{ claims: [free] }, { claims: [claim] }], lastOf(events));
      const { missing, claimed } = refusal(await store.append([next]));
      expect(missing).toEqual([]);
      expect([...claimed]).toEqual([[claim, stored(events)[1]]]);
      // Nothing of the refused batch stands, its other claim neither.
      expect(await store.readStream(stream, { limit: 10 })).toEqual(stored(events));
      expect([...(await store.findClaims(stream, [claim, free]))]).toEqual([[claim, stored(events)[1]]]);
    });

    it('is found however old it is', async () => {
      const { store } = subject();
      const stream = newStream();
      const claims = [claimOf('first'), claimOf('second')];
      const first = await written(store, batchOf(stream, [{ claims }]));
      const later = await written(store, batchOf(stream, plain(2_000), lastOf(first)));
      const { claimed } = refusal(await store.append([batchOf(stream, [{ claims }], lastOf(later))]));
      expect(new Map(claimed)).toEqual(new Map(claims.map((claim) => [claim, stored(first)[0]])));
    });

    it('comes back together with the missing events', async () => {
      const { store } = subject();
      const stream = newStream();
      const claim = claimOf('key');
      const first = await written(store, batchOf(stream, plain(1)));
      const since = await written(store, batchOf(stream, [{ claims: [claim] }, {}], lastOf(first)));
      const { missing, claimed } = refusal(await store.append([batchOf(stream, [{ claims: [claim] }], lastOf(first))]));
      expect(missing).toEqual(stored(since));
      expect([...claimed]).toEqual([[claim, stored(since)[0]]]);
    });
  });

  sharedClaimsContract(subject);
  unclaimedContract(subject);
}

function sharedClaimsContract(subject: Subject): void {
  describe('a claim', () => {
    it('counts within its stream alone', async () => {
      const { store } = subject();
      const claim = claimOf('shared');
      const batches = [batchOf(newStream(), [{ claims: [claim] }]), batchOf(newStream(), [{ claims: [claim] }])];
      expect((await store.append(batches)).map(({ accepted }) => accepted)).toEqual([true, true]);
      for (const { stream, events } of batches) {
        expect([...(await store.findClaims(stream, [claim]))]).toEqual([[claim, stored(events)[0]]]);
      }
    });

    it('that stands refuses its own batch of a group, no other', async () => {
      const { store } = subject();
      const claim = claimOf('once');
      const stream = newStream();
      const events = await written(store, batchOf(stream, [{ claims: [claim] }]));
      const other = batchOf(newStream(), [{ claims: [claim] }]);
      const results = await store.append([batchOf(stream, [{ claims: [claim] }], lastOf(events)), other]);
      expect(results.map(({ accepted }) => accepted)).toEqual([false, true]);
    });

    it('has one winner of two writers who both believe the head', async () => {
      const { another } = subject();
      const stream = newStream();
      const claim = claimOf('race');
      const batches = [batchOf(stream, [{ claims: [claim] }]), batchOf(stream, [{ claims: [claim] }])];
      const results = await Promise.all(batches.map((batch) => another().append([batch])));
      const winner = results.findIndex(([result]) => result?.accepted);
      expect(results.flat().filter(({ accepted }) => accepted)).toHaveLength(1);
      const held = stored(batches[winner]?.events ?? [])[0];
      expect([...refusal(results[1 - winner] ?? []).claimed]).toEqual([[claim, held]]);
    });
  });
}

function unclaimedContract(subject: Subject): void {
  describe('a claim that is only looked for', () => {
    it('refuses an empty batch where it stands', async () => {
      const { store } = subject();
      const stream = newStream();
      const claim = claimOf('used');
      const events = await written(store, batchOf(stream, [{ claims: [claim] }, {}]));
      const { missing, claimed } = refusal(await store.append([confirmation(stream, 1, [claimOf('unused'), claim])]));
      expect(missing).toEqual([]);
      expect([...claimed]).toEqual([[claim, stored(events)[0]]]);
    });

    it('refuses a batch with events where it stands', async () => {
      const { store } = subject();
      const stream = newStream();
      const claim = claimOf('used');
      const events = await written(store, batchOf(stream, [{ claims: [claim] }]));
      const next = { ...batchOf(stream, plain(1), lastOf(events)), unclaimed: [claim] };
      expect([...refusal(await store.append([next])).claimed.keys()]).toEqual([claim]);
      expect(await store.readStream(stream, { limit: 10 })).toEqual(stored(events));
    });

    it('is not made by being looked for', async () => {
      const { store } = subject();
      const stream = newStream();
      const claim = claimOf('later');
      expect(await store.append([confirmation(stream, -1, [claim])])).toEqual([{ accepted: true, revision: -1 }]);
      const beside = { ...batchOf(stream, plain(1)), unclaimed: [claim] };
      expect(await store.append([beside])).toEqual([{ accepted: true, revision: 0 }]);
      expect((await store.findClaims(stream, [claim])).size).toBe(0);
      const next = batchOf(stream, [{ claims: [claim] }], lastOf(beside.events));
      expect(await store.append([next])).toEqual([{ accepted: true, revision: 1 }]);
    });
  });

  describe('findClaims', () => {
    it('leaves out what nobody holds', async () => {
      const { store } = subject();
      const stream = newStream();
      const events = await written(
        store,
        batchOf(stream, [{ claims: [claimOf('a'), claimOf('b')] }, { claims: [claimOf('c')] }]),
      );
      const found = await store.findClaims(stream, [claimOf('c'), claimOf('nobody'), claimOf('a')]);
      expect(new Map(found)).toEqual(
        new Map([
          [claimOf('a'), stored(events)[0]],
          [claimOf('c'), stored(events)[1]],
        ]),
      );
      expect((await store.findClaims(stream, [])).size).toBe(0);
      expect((await store.findClaims(newStream(), [claimOf('a')])).size).toBe(0);
    });
  });
}
