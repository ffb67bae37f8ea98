import { performance } from 'node:perf_hooks';
import { readModelPool, serviceClient, servicePool } from '../../src/database.ts';
import { readEvent } from '../../src/events/event-types.ts';
import { createPostgresStore } from '../../src/events/postgres/store.ts';
import { START } from '../../src/events/store.ts';
import { applyBalances } from '../../src/projections/balances.ts';
import { moveCheckpoints } from '../../src/projections/checkpoints.ts';
import { readDatabase } from '../../src/projections/database.ts';
import { eventsOf } from '../../src/projections/events-of.ts';
import { applyGrants } from '../../src/projections/grants.ts';
import { applyJournal } from '../../src/projections/journal.ts';
import { applyPackages } from '../../src/projections/packages.ts';
import { applyReservations } from '../../src/projections/reservations.ts';
import { applyTransactions } from '../../src/projections/transactions.ts';
import { applyUsageStats } from '../../src/projections/usage-stats.ts';

/** What one read model takes for an event, in µs: making its rows, and writing them. */
export type ReadModelCost = { readonly name: string; readonly micros: number };

const EVENTS_TOGETHER = 1_000;

const MODELS = {
  balances: applyBalances,
  transactions: applyTransactions,
  reservations: applyReservations,
  grants: applyGrants,
  packages: applyPackages,
  'usage statistics': applyUsageStats,
  journal: applyJournal,
};

/**
 * Applies the whole log to the read models as a projector does, nobody else at work, with a stopwatch on each. The read
 * models must be empty.
 */
export async function measureReadModels(url: string): Promise<readonly ReadModelCost[]> {
  const pool = servicePool(url, 'bench', 1);
  const store = createPostgresStore({ pool, makeClient: () => serviceClient(url, 'bench') });
  const db = readDatabase(readModelPool(url, 'bench', 1));
  const spent = new Map<string, number>();
  let applied = 0;
  const timed = async <Result>(name: string, work: () => Result | Promise<Result>): Promise<Result> => {
    const start = performance.now();
    const result = await work();
    spent.set(name, (spent.get(name) ?? 0) + performance.now() - start);
    return result;
  };
  try {
    for (let after = START; ; ) {
      const stored = await timed('reading the log', () => store.readAll({ after, limit: EVENTS_TOGETHER }));
      const last = stored.at(-1);
      if (last === undefined) break;
      after = last.position;
      const events = await timed('reading events', () => eventsOf(stored.map(readEvent)));
      await db.transaction().execute(async (tx) => {
        for (const [name, apply] of Object.entries(MODELS)) await timed(name, () => apply(tx, events));
        await timed('checkpoints', () => moveCheckpoints(tx, new Map(events.all.map((event) => [event.stream, event.revision]))));
      });
      applied += stored.length;
    }
  } finally {
    await db.destroy();
    await pool.end();
  }
  return [...spent].map(([name, ms]) => ({ name, micros: (ms * 1_000) / applied }));
}
