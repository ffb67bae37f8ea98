import { setTimeout as delay } from 'node:timers/promises';
import { type Recorded, readEvent, type StoredEvent } from '../events/event-types.ts';
import { type Store, StreamGoneError } from '../events/store.ts';
import { applyBalances } from './balances.ts';
import { lockCheckpoints, moveCheckpoints, park, unpark } from './checkpoints.ts';
import type { ReadDatabase } from './database.ts';
import type { OtherGeneration } from './generations.ts';
import { eventsOf } from './events-of.ts';
import { applyGrants } from './grants.ts';
import { applyJournal } from './journal.ts';
import { applyPackages } from './packages.ts';
import { applyReservations } from './reservations.ts';
import { applyTransactions } from './transactions.ts';
import { applyUsageStats } from './usage-stats.ts';

/** A hint that a stream has reached a revision. */
export type Signal = { readonly stream: string; readonly revision: number };

/** Events of one stream, and of all, in one transaction at the most: a stream further behind takes several. */
const EVENTS_TOGETHER = 500;
const EVENTS_AT_ONCE = 5_000;
/** In ms. */
const LOOK_AGAIN = 200;

/** What came of some signals: streams that are not there yet, and those that were parked. */
export type Projected = {
  readonly unfinished: readonly Signal[];
  readonly parked: readonly Parked[];
  readonly applied: number;
  /** Generations that the same signals are for, beside the one they were applied to; left out where there are none. */
  readonly others?: readonly OtherGeneration[];
};

/** How streams are projected: `alone` by whoever holds the lock of all generations alone. */
export type How = { readonly alone?: boolean };

/** A stream that can't be applied from this revision on. */
export type Parked = { readonly stream: string; readonly revision: number; readonly error: string };

/** The read models, each applied to the same events in the same transaction. */
const models = [applyBalances, applyTransactions, applyReservations, applyGrants, applyPackages, applyUsageStats, applyJournal];

/**
 * Brings streams from their own checkpoints to the signalled revisions, all in one transaction with their checkpoints:
 * each event once and in order, whatever is signalled how often. What lies between is read from the store. A stream
 * is parked before an event that can't be applied, and the others go on.
 */
export async function project(
  db: ReadDatabase,
  store: Pick<Store, 'readStreams'>,
  signals: readonly Signal[],
  how: How = {},
): Promise<Projected> {
  const wanted = new Map<string, number>();
  for (const { stream, revision } of signals) wanted.set(stream, Math.max(revision, wanted.get(stream) ?? -1));
  const each = Math.floor(EVENTS_AT_ONCE / Math.max(wanted.size, 1));
  const together = Math.min(Math.max(each, 1), EVENTS_TOGETHER);
  const { released, ...first } = await projectUpTo({ db, store, how }, wanted, together);
  if (released.length === 0) return first;
  // What was signalled while a stream was parked nobody signals again: so it is looked at once more, now that it is not.
  const toHead = new Map(released.map((stream) => [stream, Number.POSITIVE_INFINITY]));
  const { released: _, ...both } = joined({ ...first, released }, await projectUpTo({ db, store, how }, toHead, together));
  return both;
}

/** What one transaction came to, or several: with the streams that are parked no more. */
type Step = Projected & { readonly released: readonly string[] };

/** Up to which revision each stream is wanted; without an end, up to its head. */
type Wanted = ReadonlyMap<string, number>;
type Parts = { readonly db: ReadDatabase; readonly store: Pick<Store, 'readStreams'>; readonly how: How };

/** Applies at most `together` events of each stream. */
async function projectUpTo(parts: Parts, wanted: Wanted, together: number): Promise<Step> {
  try {
    return await projectTogether(parts, wanted, together);
  } catch (error) {
    if (!isAboutData(error)) throw error;
    // Something in here can't be applied: halves the streams until one stands alone, then its events.
    if (wanted.size === 1 && together === 1) return parkNext(parts, wanted, error);
    if (wanted.size === 1) return projectUpTo(parts, wanted, Math.floor(together / 2));
    const middle = Math.ceil(wanted.size / 2);
    const first = await projectUpTo(parts, new Map([...wanted].slice(0, middle)), together);
    const second = await projectUpTo(parts, new Map([...wanted].slice(middle)), together);
    return joined(first, second);
  }
}

function joined(first: Step, second: Step): Step {
  return {
    released: [...first.released, ...second.released],
    unfinished: [...first.unfinished, ...second.unfinished],
    parked: [...first.parked, ...second.parked],
    applied: first.applied + second.applied,
    ...othersOf(second.others ?? first.others ?? []),
  };
}

async function projectTogether({ db, store, how }: Parts, wanted: Wanted, together: number): Promise<Step> {
  return db.transaction().execute(async (tx) => {
    const { checkpoints, others } = await lockCheckpoints(tx, [...wanted.keys()], how);
    const ranges = [...wanted].flatMap(([stream, revision]) => {
      const { revision: reached, parked } = checkpoints.get(stream) ?? { revision: -1, parked: false };
      // The router doesn't wait for a parked stream: once it goes on it is brought to its head, however far that is.
      const goal = parked ? Number.POSITIVE_INFINITY : revision;
      const from = reached + 1;
      return from > goal ? [] : [{ stream, from, to: Math.min(goal, from + together - 1), goal }];
    });
    if (ranges.length === 0) return { unfinished: [], parked: [], released: [], applied: 0, ...othersOf(others) };
    const { events, parked } = await readRanges(store, ranges);
    const applied = eventsOf(events);
    for (const apply of models) await apply(tx, applied);
    const reached = new Map(events.map((event) => [event.stream, event.revision]));
    await moveCheckpoints(tx, reached);
    for (const { stream, revision, error } of parked) await park(tx, stream, revision, error);
    const stuck = new Set(parked.map(({ stream }) => stream));
    const goingOn = ranges.filter(({ stream }) => !stuck.has(stream));
    const unfinished = goingOn.filter(({ stream, to, goal }) => reached.get(stream) === to && to < goal);
    const arrived = goingOn.filter((one) => checkpoints.get(one.stream)?.parked === true && !unfinished.includes(one));
    const released = arrived.map(({ stream }) => stream);
    if (released.length > 0) await unpark(tx, released);
    return {
      unfinished: unfinished.map(({ stream }) => ({ stream, revision: wanted.get(stream) ?? -1 })),
      parked,
      released,
      applied: events.length,
      ...othersOf(others),
    };
  });
}

function othersOf(others: readonly OtherGeneration[]): Pick<Projected, 'others'> {
  return others.length === 0 ? {} : { others };
}

type Range = { readonly stream: string; readonly from: number; readonly to: number; readonly goal: number };

/** Reads ranges. A stream is to be parked where an event can't be read, or where those that were signalled are not there. */
async function readRanges(store: Pick<Store, 'readStreams'>, ranges: readonly Range[]): Promise<Readable> {
  const stored = await store.readStreams(ranges);
  const missing = notIn(stored, ranges);
  if (missing.length === 0) return readable(stored);
  // Readers may see a moment later what whoever follows the log is told.
  await delay(LOOK_AGAIN);
  const late = await store.readStreams(missing);
  const { events, parked } = readable([...stored, ...late]);
  const error = 'what was signalled is not in the store';
  return { events, parked: [...parked, ...notIn(late, missing).map(({ stream, from }) => ({ stream, revision: from, error }))] };
}

function notIn(stored: readonly StoredEvent[], ranges: readonly Range[]): readonly Range[] {
  const found = new Set(stored.map(({ stream }) => stream));
  return ranges.filter(({ stream, goal }) => goal !== Number.POSITIVE_INFINITY && !found.has(stream));
}

type Readable = { readonly events: readonly Recorded[]; readonly parked: readonly Parked[] };

/** Reads stored events; a stream ends at the first that can't be read. */
function readable(stored: readonly StoredEvent[]): Readable {
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

/** Postgres refused a value (classes 22, 23 and 54), our own code failed on one, or a stream was deleted: no repeat helps. */
function isAboutData(error: unknown): boolean {
  if (error instanceof StreamGoneError) return true;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? /^(?:22|23|54)/.test(code) : error instanceof TypeError || error instanceof RangeError;
}

/** Parks a stream before its next event. */
async function parkNext({ db, how }: Parts, wanted: Wanted, error: unknown): Promise<Step> {
  return db.transaction().execute(async (tx) => {
    const parked: Parked[] = [];
    const { checkpoints, others } = await lockCheckpoints(tx, [...wanted.keys()], how);
    for (const [stream, { revision }] of checkpoints) {
      parked.push({ stream, revision: revision + 1, error: String(error) });
    }
    for (const one of parked) await park(tx, one.stream, one.revision, one.error);
    return { unfinished: [], parked, released: [], applied: 0, ...othersOf(others) };
  });
}
