import { inject } from 'vitest';
import { verify } from '../../src/cli/verify.ts';
import { readConfig } from '../../src/config.ts';
import { serviceClient, servicePool } from '../../src/database.ts';
import type { StoredEvent } from '../../src/events/event-types.ts';
import { type Position, START, type Store } from '../../src/events/store.ts';
import { openStore } from '../../src/open-store.ts';
import { environmentOn } from './backends.ts';
import type { TestStore } from './database.ts';

/* The log of a test database as the store contract shows it, whatever keeps it. */

/** Events in one read. */
const PAGE = 1_000;

/** A stream's events, from the first on; none where there is no such stream. */
export async function eventsOf(store: Pick<Store, 'readStream'>, stream: string): Promise<readonly StoredEvent[]> {
  const events: StoredEvent[] = [];
  for (;;) {
    const page = await store.readStream(stream, { from: events.length, limit: PAGE });
    events.push(...page);
    if (page.length < PAGE) return events;
  }
}

/** How many events a stream has. */
export async function lengthOf(store: Pick<Store, 'readStream'>, stream: string): Promise<number> {
  const [last] = await store.readStream(stream, { direction: 'backward', limit: 1 });
  return last === undefined ? 0 : last.revision + 1;
}

/** What an event says, read from its text. */
export function dataOf(event: StoredEvent | undefined): { readonly [member: string]: unknown } {
  if (event === undefined) throw new Error('there is no such event');
  return JSON.parse(event.data) as { readonly [member: string]: unknown };
}

/**
 * Counts the events of all streams that are written from now on. Each count reads on from where the last one ended, so
 * that a long log costs its length once.
 */
export async function countFrom(store: Pick<Store, 'readAll' | 'lastPosition'>): Promise<() => Promise<number>> {
  let after: Position = await store.lastPosition();
  let count = 0;
  return async () => {
    for (;;) {
      const page = await store.readAll({ after, limit: PAGE });
      const last = page.at(-1);
      if (last === undefined) return count;
      count += page.length;
      after = last.position;
    }
  };
}

/**
 * The log and the database beside it, as a process of its own would have them. Its beginning is where the log ends when
 * it is opened: tests share a server, and what others have written before need not be gone through. Whoever calls closes it.
 */
export async function openLogOf(url: string, name = 'test'): Promise<TestStore> {
  const pool = servicePool(url, name, 8);
  try {
    const { store, close } = await openStore(readConfig(environmentOn(url)), {
      pool,
      makeClient: () => serviceClient(url, `${name} listener`),
      onTrouble: () => undefined,
    });
    const begin = await store.lastPosition();
    return {
      store: {
        ...store,
        readAll: ({ after, limit }) => store.readAll({ after: after === START ? begin : after, limit }),
      },
      pool,
      async close() {
        await close();
        await pool.end();
      },
    };
  } catch (error) {
    await pool.end();
    throw error;
  }
}

/** What an audit of the log finds wrong. */
export async function faultsOf({ store, pool }: Pick<TestStore, 'store' | 'pool'>): ReturnType<typeof verify> {
  return verify({ pool, store: inject('eventStoreUrl') === null ? undefined : store });
}
