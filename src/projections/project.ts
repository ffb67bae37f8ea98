import type { Transaction } from 'kysely';
import { type Recorded, readEvent, type StoredEvent } from '../events/event-types.ts';
import type { Store } from '../events/store.ts';
import { applyBalances } from './balances.ts';
import { lockCheckpoints, moveCheckpoints, park, unpark } from './checkpoints.ts';
import type { ReadDatabase, ReadModels } from './database.ts';
import { applyGrants } from './grants.ts';
import { applyReservations } from './reservations.ts';
import { applyTransactions } from './transactions.ts';

/** A hint that a stream has reached a revision. */
export type Signal = { readonly stream: string; readonly revision: number };

/** Events of one stream in one transaction at the most: a stream further behind takes several. */
const EVENTS_TOGETHER = 500;

/** What came of some signals: streams that are not there yet, and those that were parked. */
export type Projected = { readonly unfinished: readonly Signal[]; readonly parked: readonly Parked[]; readonly applied: number };

type Parked = { readonly stream: string; readonly revision: number; readonly error: string };

/** The read models, each applied to the same events in the same transaction. */
const models = [applyBalances, applyTransactions, applyReservations, applyGrants];

/**
 * Brings streams from their own checkpoints to the signalled revisions, all in one transaction with their checkpoints:
 * each event once and in order, whatever is signalled how often. What lies between is read from the store. A stream
 * with an event that can't be applied is parked, and the others go on.
 */
export async function project(db: ReadDatabase, store: Pick<Store, 'readStreams'>, signals: readonly Signal[]): Promise<Projected> {
  const wanted = new Map<string, number>();
  for (const { stream, revision } of signals) wanted.set(stream, Math.max(revision, wanted.get(stream) ?? -1));
  try {
    return await projectTogether(db, store, wanted);
  } catch (error) {
    if (wanted.size === 1) return parkOne(db, wanted, error);
    if (!isAboutData(error)) throw error;
    // Somebody in here can't be applied: halves, until it stands alone.
    const entries = [...wanted].map(([stream, revision]) => ({ stream, revision }));
    const middle = Math.ceil(entries.length / 2);
    const [first, second] = [await project(db, store, entries.slice(0, middle)), await project(db, store, entries.slice(middle))];
    return {
      unfinished: [...first.unfinished, ...second.unfinished],
      parked: [...first.parked, ...second.parked],
      applied: first.applied + second.applied,
    };
  }
}

async function projectTogether(db: ReadDatabase, store: Pick<Store, 'readStreams'>, wanted: ReadonlyMap<string, number>): Promise<Projected> {
  return db.transaction().execute(async (tx) => {
    const checkpoints = await lockCheckpoints(tx, [...wanted.keys()]);
    const ranges = [...wanted].flatMap(([stream, revision]) => {
      const from = (checkpoints.get(stream) ?? -1) + 1;
      return from > revision ? [] : [{ stream, from, to: Math.min(revision, from + EVENTS_TOGETHER - 1) }];
    });
    if (ranges.length === 0) return { unfinished: [], parked: [], applied: 0 };
    const { events, parked } = readable(await store.readStreams(ranges));
    for (const apply of models) await apply(tx, events);
    const reached = new Map(events.map((event) => [event.stream, event.revision]));
    await moveCheckpoints(tx, reached);
    if (reached.size > 0) await unpark(tx, [...reached.keys()]);
    for (const { stream, revision, error } of parked) await park(tx, stream, revision, error);
    const stuck = new Set(parked.map(({ stream }) => stream));
    const unfinished = ranges
      .filter(({ stream }) => (reached.get(stream) ?? -1) < (wanted.get(stream) ?? -1) && !stuck.has(stream))
      .map(({ stream }) => ({ stream, revision: wanted.get(stream) ?? -1 }));
    return { unfinished, parked, applied: events.length };
  });
}

/** Reads stored events; a stream ends at the first that can't be read. */
function readable(stored: readonly StoredEvent[]): { events: readonly Recorded[]; parked: readonly Parked[] } {
  const events: Recorded[] = [];
  const parked = new Map<string, Parked>();
  for (const one of stored) {
    if (parked.has(one.stream)) continue;
    try {
      events.push(readEvent(one));
    } catch (error) {
      parked.set(one.stream, { stream: one.stream, revision: one.revision, error: String(error) });
    }
  }
  return { events, parked: [...parked.values()] };
}

/** Postgres refused a value (classes 22 and 23) or our own code failed on one: no repeat helps. */
function isAboutData(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? /^2[23]/.test(code) : error instanceof TypeError || error instanceof RangeError;
}

async function parkOne(db: ReadDatabase, wanted: ReadonlyMap<string, number>, error: unknown): Promise<Projected> {
  if (!isAboutData(error)) throw error;
  const [[stream, revision] = ['', -1]] = wanted;
  const parked = { stream, revision, error: String(error) };
  await db.transaction().execute((tx: Transaction<ReadModels>) => park(tx, stream, revision, parked.error));
  return { unfinished: [], parked: [parked], applied: 0 };
}
