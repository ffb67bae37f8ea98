import type pg from 'pg';
import type { StoredEvent } from '../event-types.ts';
import type { Batch, BatchResult, Store } from '../store.ts';
import { appendGroup } from './append.ts';
import { queriesOn } from './queries.ts';
import { factReader } from './read-facts.ts';
import { logReader } from './read-log.ts';
import { follow } from './subscription.ts';

/** How many events a conflict brings back at the most. Who is further behind asks again. */
const MISSING_LIMIT = 1_000;

type Learnt = { readonly missing: readonly StoredEvent[]; readonly claimed: ReadonlyMap<string, StoredEvent> };

/** What else was written is written: where a conflict can't be read back, its batch alone learns nothing. */
const NOTHING: Learnt = { missing: [], claimed: new Map() };

/**
 * The store contract on Postgres. `pool` connects under the service's role; `makeClient` gives single connections for
 * subscriptions.
 */
export function createPostgresStore({ pool, makeClient }: { pool: pg.Pool; makeClient: () => pg.Client }): Store {
  const query = queriesOn(pool);
  const { readAdvances, ...log } = logReader(query);
  const facts = factReader(query);

  return {
    ...log,
    ...facts,
    subscribe: (options) => follow(readAdvances, makeClient, options),
    async append(batches) {
      const appended = await appendGroup(pool, batches);
      return Promise.all(
        batches.map(async (batch, index): Promise<BatchResult> => {
          const { accepted = false, contended = false } = appended[index] ?? {};
          if (accepted) return { accepted, revision: batch.expectedRevision + batch.events.length };
          return { accepted: false, contended, ...(await learn(batch).catch(() => NOTHING)) };
        }),
      );
    },
  };

  /** What the caller didn't know: the events behind its expected revision, and those that hold its claims. */
  async function learn({ stream, expectedRevision, events, unclaimed }: Batch): Promise<Learnt> {
    // In this order: a claim that is found late stands in an event that is missing, never the other way round.
    const claimed = await facts.findClaims(stream, [...events.flatMap(({ claims }) => claims), ...unclaimed]);
    const missing = await log.readStream(stream, { from: expectedRevision + 1, limit: MISSING_LIMIT });
    return { missing, claimed };
  }
}
