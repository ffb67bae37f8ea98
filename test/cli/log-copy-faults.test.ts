import { describe, expect, it } from 'vitest';
import { copyLog } from '../../src/cli/log-copy/copy-log.ts';
import { groupsOf } from '../../src/cli/log-copy/groups.ts';
import { DifferentEventError } from '../../src/cli/log-copy/put-group.ts';
import { MAX_BATCH_BYTES } from '../../src/commands/write-path/decide-batch.ts';
import type { Batch, BatchFailure, Store } from '../../src/events/store.ts';
import { OutcomeUnknownError, StoreUnavailableError } from '../../src/events/store.ts';
import { batchOf, claimOf, newStream, sealed, stored, written } from '../events/contract/batches.ts';
import { type Fault, faultyStore } from '../support/faulty-store.ts';
import { emptyDatabase, expectSame, useSourceLog } from './copying.ts';

/* Copying to a target that fails in all ways. */

const sourceLog = useSourceLog();

describe('a copy to a store that fails', () => {
  it.each<[string, readonly Fault[]]>([
    ['loses answers', ['answer lost', 'answer lost']],
    ['loses calls', ['call lost', 'call lost']],
    ['takes calls late', ['late', 'late']],
    ['is away for a while', ['down', 'down', 'down']],
    ['does all of it', ['late', 'answer lost', 'down', 'call lost', 'late']],
  ])('%s is whole, and nothing is in it twice', async (_, faults) => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const faulty = faultyStore();
    faulty.faults.push(...faults);
    const { written: wrote } = await copyLog({ source: source.store, target: faulty.before(target.store) });
    expect(faulty.faults).toEqual([]);
    expect(wrote).toBe(source.events);
    await expectSame(source.database, target.database);
  });

  it('in single streams of a group is whole all the same', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const errors = [new StoreUnavailableError('away'), new OutcomeUnknownError('lost')];
    const whimsical = failingFor(target.store, (batch) => (batch.stream === 'account-eve' ? errors.pop() : undefined));
    await copyLog({ source: source.store, target: whimsical });
    expect(errors).toEqual([]);
    await expectSame(source.database, target.database);
  });

  it('for good ends with what is wrong', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const broken = failingFor(target.store, ({ stream }) => (stream === 'account-eve' ? new Error('too large') : undefined));
    const copying = copyLog({ source: source.store, target: broken });
    await expect(copying).rejects.toThrow(/the target can't store account-eve, revision 0/);
    await expect(copying).rejects.toMatchObject({ cause: { message: 'too large' } });
  });
});

/** A store that says of some batches that they failed, and writes the others. */
function failingFor(store: Store, failureOf: (batch: Batch) => Error | undefined): Store {
  return {
    ...store,
    async append(batches) {
      const failures = new Map(
        batches.flatMap((batch): [Batch, BatchFailure][] => {
          const failed = failureOf(batch);
          return failed === undefined ? [] : [[batch, { failed }]];
        }),
      );
      const results = await store.append(batches.filter((batch) => !failures.has(batch)));
      const others = [...results];
      return batches.map((batch) => failures.get(batch) ?? others.shift() ?? { failed: new Error('no result') });
    },
  };
}

describe('a target that holds something else', () => {
  it('in the place of an event is refused by name, and left as it is', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const theirs = await written(target.store, batchOf('account-bob', [{ data: { other: true } }]));
    const copying = copyLog({ source: source.store, target: target.store });
    await expect(copying).rejects.toThrow(DifferentEventError);
    await expect(copying).rejects.toThrow(`account-bob, revision 0: the target holds the event ${theirs[0]?.id} (Tested)`);
    expect(await target.store.readStream('account-bob', { limit: 10 })).toEqual(stored(theirs));
  });

  it('of which the copy learns late, since it began empty, is refused by name', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const early = { ...target.store, lastPosition: async () => '0' };
    const theirs = await written(target.store, batchOf('account-bob', [{ data: { other: true } }]));
    const copying = copyLog({ source: source.store, target: early });
    await expect(copying).rejects.toThrow(`account-bob, revision 0: the target holds the event ${theirs[0]?.id} (Tested)`);
  });

  it('that claims what a later event of the source claims is refused by name', async () => {
    const [source, target] = [await emptyDatabase(), await emptyDatabase()];
    const stream = newStream();
    const claim = claimOf('key');
    const [first, second] = sealed(stream, [{}, { claims: [claim] }]);
    if (first === undefined || second === undefined) throw new Error('two events');
    await written(source.store, { stream, expectedRevision: -1, events: [first, second], unclaimed: [] });
    // The same event to the letter, with a claim that it doesn't name: an index gone wrong.
    await written(target.store, { stream, expectedRevision: -1, events: [{ ...first, claims: [claim] }], unclaimed: [] });
    await expect(copyLog({ source: source.store, target: target.store })).rejects.toThrow(
      `${stream}, revision 0: it holds the claim ${claim} in the target, which a later event makes in the source`,
    );
  });
});

describe('groups', () => {
  it('hold no more text than a batch of the write path, an event at least, and all of it in order', () => {
    const half = 'x'.repeat(MAX_BATCH_BYTES * 0.4);
    const streams = ['a', 'b', 'a', 'c', 'a', 'b'];
    const made = new Map(
      ['a', 'b', 'c'].map((name) => [
        name,
        [
          ...sealed(
            name,
            [{}, {}, {}].map(() => ({ data: { half } })),
          ),
        ],
      ]),
    );
    const events = streams.flatMap((name) => stored((made.get(name) ?? []).splice(0, 1)));
    const groups = groupsOf(events);
    expect(
      groups.map((group) => group.map(({ stream, expectedRevision, events }) => [stream, expectedRevision, events.length])),
    ).toEqual([
      [
        ['a', -1, 1],
        ['b', -1, 1],
      ],
      [
        ['a', 0, 1],
        ['c', -1, 1],
      ],
      [
        ['a', 1, 1],
        ['b', 0, 1],
      ],
    ]);
  });

  it('put the events of a stream together, with what they claim and are about', () => {
    const one = sealed('one', [{ claims: [claimOf('x')] }, { about: [0] }]);
    const two = sealed('two', [{}]);
    const [group] = groupsOf(stored([...one.slice(0, 1), ...two, ...one.slice(1)]));
    expect(group).toEqual([
      { stream: 'one', expectedRevision: -1, events: one, unclaimed: [] },
      { stream: 'two', expectedRevision: -1, events: two, unclaimed: [] },
    ]);
  });

  it('refuse an event that is not what was hashed', () => {
    const [event] = stored(sealed('broken', [{}]));
    if (event === undefined) throw new Error('one event');
    expect(() => groupsOf([{ ...event, data: '{"more":1}' }])).toThrow(/broken, revision 0: it is not what was hashed/);
  });
});
