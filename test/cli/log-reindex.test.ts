import { describe, expect, it, onTestFinished } from 'vitest';
import { emptyIndex, type Indexed, reindex } from '../../src/cli/log-reindex/reindex.ts';
import { createFactIndex, type FactIndex } from '../../src/events/kurrent/fact-index.ts';
import { factsOf } from '../../src/events/kurrent/tails.ts';
import type { Store } from '../../src/events/store.ts';
import { servicePool } from '../../src/database.ts';
import type { TestDatabase } from '../support/database.ts';
import { runCommandLine } from '../support/run-command-line.ts';
import { emptyDatabase, useSourceLog } from './copying.ts';

/*
 * The index of claims and links is made again from a log. The log is one in Postgres here, read through the contract:
 * what its own tables of claims and links say is what the index must say.
 */

const sourceLog = useSourceLog();

type Indexing = { readonly database: TestDatabase; readonly store: Store; readonly index: FactIndex; readonly events: number };

async function indexing(): Promise<Indexing> {
  const { database, store, events } = await sourceLog();
  const pool = servicePool(database.url, 'index', 2);
  onTestFinished(() => pool.end());
  return { database, store, index: createFactIndex(pool), events };
}

/** What is known of claims and links, and up to where, by the names of streams. */
async function factsIn({ superuser }: TestDatabase, schema: 'ledger' | 'kurrent'): Promise<unknown> {
  const rowsOf = async (query: string) => (await superuser.query<object>(query)).rows;
  return {
    streams: await rowsOf(`select name, revision from ${schema}.streams where revision >= 0 order by name`),
    claims: await rowsOf(
      `select s.name, c.claim, c.revision from ${schema}.claims c join ${schema}.streams s on s.id = c.stream_id order by 1, 2`,
    ),
    links: await rowsOf(
      `select s.name, l.about, l.revision from ${schema}.links l join ${schema}.streams s on s.id = l.stream_id order by 1, 2`,
    ),
  };
}

async function expectWhole(database: TestDatabase): Promise<void> {
  expect(await factsIn(database, 'kurrent')).toEqual(await factsIn(database, 'ledger'));
}

describe('reindex', () => {
  it('makes the index from nothing; repeated, it finds nothing to do', async () => {
    const { database, store, index, events } = await indexing();
    expect(await reindex({ store, index })).toMatchObject({ events, noted: events });
    await expectWhole(database);
    expect(await reindex({ store, index })).toMatchObject({ events, noted: 0 });
    await expectWhole(database);
  });

  it('goes on where it was broken off', async () => {
    const { database, store, index, events } = await indexing();
    const steps: Indexed[] = [];
    const broken = reindex({
      store,
      index,
      onProgress: (step) => {
        steps.push(step);
        if (steps.length === 2) throw new Error('broken off');
      },
    });
    await expect(broken).rejects.toThrow('broken off');
    expect(await factsIn(database, 'kurrent')).not.toEqual(await factsIn(database, 'ledger'));
    expect(await reindex({ store, index })).toMatchObject({ events, noted: events - (steps[1]?.noted ?? 0) });
    await expectWhole(database);
  });

  it('beside a service that takes in its own events, late and early, ends up the same', async () => {
    const { database, store, index } = await indexing();
    const noteEnd = async (stream: string, count: number) => {
      const events = (await store.readStream(stream, { direction: 'backward', limit: count })).toReversed();
      const [first, last] = [events[0]?.revision ?? 0, events.at(-1)?.revision ?? 0];
      return index.note([{ stream, low: first - 1, high: last, ...factsOf(events) }]);
    };
    // A span with nothing before it is not taken; a whole stream is.
    expect(await noteEnd('account-long', 100)).toEqual([-1]);
    await noteEnd('account-ada', 1_000);
    const both = [reindex({ store, index }), reindex({ store, index })];
    for (let count = 10; count < 400; count += 50) await noteEnd('account-long', count);
    await Promise.all(both);
    await expectWhole(database);
  });

  it('completes what somebody empties meanwhile', async () => {
    const { database, store, index } = await indexing();
    let isEmptied = false;
    const onProgress = ({ events }: Indexed) => {
      if (events >= 500 && !isEmptied) {
        isEmptied = true;
        emptied = emptyIndex(database.url);
      }
    };
    let emptied: Promise<void> | undefined;
    const slow: typeof index = {
      ...index,
      find: async (wanted) => {
        await emptied;
        return index.find(wanted);
      },
    };
    await reindex({ store, index: slow, onProgress });
    expect(isEmptied).toBe(true);
    // The stream that went on is known whole, from its beginning.
    const [head] = await store.readStream('account-long', { direction: 'backward', limit: 1 });
    const [known] = await index.find([{ stream: 'account-long', claims: [], hasTurn: true }]);
    expect(known?.upTo).toBe(head?.revision);
    // Streams that came by before and did not go on are for the next run, or for whoever asks about them.
    await reindex({ store, index });
    await expectWhole(database);
  });
});

describe('emptying the index', () => {
  it('is for the owner of its tables alone', async () => {
    const { database, store, index } = await indexing();
    await reindex({ store, index });
    const url = new URL(database.url);
    const asService = new URL(database.url);
    asService.searchParams.set('options', '-c role=mana_credits_service');
    await expect(emptyIndex(asService.href)).rejects.toThrow(/permission denied/);
    await expectWhole(database);
    await emptyIndex(url.href);
    expect(await factsIn(database, 'kurrent')).toEqual({ streams: [], claims: [], links: [] });
    await reindex({ store, index });
    await expectWhole(database);
  });
});

it('is for a log in KurrentDB', async () => {
  const { database } = await emptyDatabase();
  const { code, stderr } = await runCommandLine('log', ['reindex'], database.url);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: 'EVENTSTORE_URL is not set: a log in Postgres keeps no such index\n',
  });
});
