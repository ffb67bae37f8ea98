import { sql } from 'kysely';
import { linkedAbort } from '../events/linked-abort.ts';
import { pause } from '../events/pause.ts';
import type { Advance, Position, Store } from '../events/store.ts';
import type { ReadDatabase } from './database.ts';
import { PARTITIONS, partitionOf } from './partitions.ts';
import { type How, type Parked, project, type Signal } from './project.ts';
import { positionsBetween, readAppliedPosition, writeAppliedPosition } from './router-position.ts';

/** Events of the log that are applied before the next ones are looked at: about a thousand in a transaction. */
const PAGE = 4_000;
/** How often a page is tried, with longer and longer pauses in between: a few seconds in all. */
const TRIES = 6;
const FIRST_PAUSE = 100;
/** Streams that can't be applied, at the most: beyond that it is no question of single events. */
const MOST_PARKED = 1_000;
/** Transactions that some streams take, at the most: each applies up to 500 events of each. */
const MAX_ROUNDS = 10_000;

/** How far a run has come: the position behind which it goes on, and how many events it has applied. */
export type Filled = { readonly position: Position; readonly applied: number };

export type Filler = {
  /**
   * Applies the log from where the generation stands up to `goal`, or to its end where that comes first. May be broken
   * off at any moment and begun again. Rejects where the store or the database stay away, and where far too many
   * streams can't be applied.
   */
  fillUpTo(goal: Position, onProgress: (filled: Filled) => void): Promise<Filled>;
};

/**
 * Fills a generation from the log, partition by partition as projectors do, beside whoever feeds it. A stream that can't
 * be applied is parked there and not tried again in this run.
 */
export function createFiller({
  db,
  store,
  onTrouble = () => undefined,
}: {
  readonly db: ReadDatabase;
  readonly store: Pick<Store, 'subscribe' | 'readAll' | 'readStreams'>;
  /** Is told of what is tried again. */
  readonly onTrouble?: (error: unknown) => void;
}): Filler {
  const stuck = new Map<string, Parked>();
  let applied = 0;

  const apply = async (signals: readonly Signal[]): Promise<void> => {
    const result = await bring({ db, store }, signals);
    applied += result.applied;
    for (const one of result.parked) stuck.set(one.stream, one);
  };

  const applyPage = async (page: readonly Advance[]): Promise<void> => {
    const parts = partitioned(page.filter(({ stream }) => !stuck.has(stream)));
    // None is left running behind one that failed.
    const ended = await Promise.allSettled(parts.map((part) => repeated(() => apply(part), onTrouble)));
    for (const one of ended) if (one.status === 'rejected') throw one.reason;
    const [last] = [...stuck.values()].slice(-1);
    if (stuck.size <= MOST_PARKED || last === undefined) return;
    const { stream, revision, error } = last;
    throw new Error(`more than ${MOST_PARKED} streams can't be applied; the last is ${stream} at revision ${revision}: ${error}`);
  };

  const isDone = async (position: Position, goal: Position): Promise<boolean> =>
    positionsBetween(position, goal) <= 0 || (await store.readAll({ after: position, limit: 1 })).length === 0;

  return {
    async fillUpTo(goal, onProgress) {
      let position = await readAppliedPosition(db);
      if (await isDone(position, goal)) return { position, applied };
      const over = linkedAbort(new AbortController().signal);
      try {
        for await (const page of store.subscribe({ after: position, limit: PAGE, signal: over.signal })) {
          await applyPage(page);
          position = page.at(-1)?.position ?? position;
          await writeAppliedPosition(db, position);
          onProgress({ position, applied });
          if (await isDone(position, goal)) break;
        }
      } finally {
        over.abort();
      }
      return { position, applied };
    },
  };
}

/** Brings streams to where they are signalled, in as many transactions as that takes. */
export async function bring(
  { db, store }: { readonly db: ReadDatabase; readonly store: Pick<Store, 'readStreams'> },
  signals: readonly Signal[],
  how: How = {},
): Promise<{ readonly applied: number; readonly parked: readonly Parked[] }> {
  const parked: Parked[] = [];
  let applied = 0;
  let open = signals;
  for (let round = 0; open.length > 0; round += 1) {
    if (round === MAX_ROUNDS) throw new Error(`${open[0]?.stream ?? 'a stream'} does not get where it is to be brought`);
    const result = await project(db, store, open, how);
    applied += result.applied;
    parked.push(...result.parked);
    open = result.unfinished;
  }
  return { applied, parked };
}

/** Streams that are parked in a generation, with what was said of each, the first `limit`; and how many there are. */
export async function listParked(
  db: ReadDatabase,
  limit: number,
): Promise<{ readonly parked: readonly Parked[]; readonly count: number }> {
  const { rows } = await sql<{ stream: string; revision: string; error: string; count: string }>`select stream, revision, error,
      count(*) over () as count from parked order by stream limit ${limit}`.execute(db);
  const parked = rows.map(({ stream, revision, error }) => ({ stream, revision: Number(revision), error }));
  return { parked, count: Number(rows[0]?.count ?? 0) };
}

function partitioned(page: readonly Advance[]): readonly (readonly Signal[])[] {
  const parts = Array.from({ length: PARTITIONS }, (): Signal[] => []);
  for (const { stream, revision } of page) parts[partitionOf(stream)]?.push({ stream, revision });
  return parts.filter((part) => part.length > 0);
}

/** Does something again that failed, a bounded number of times. What may be repeated only. */
async function repeated(work: () => Promise<void>, onTrouble: (error: unknown) => void): Promise<void> {
  const never = new AbortController().signal;
  for (let tryNumber = 1; ; tryNumber += 1) {
    try {
      await work();
      return;
    } catch (error) {
      if (tryNumber === TRIES) throw error;
      onTrouble(error);
      await pause(FIRST_PAUSE * 2 ** tryNumber, never);
    }
  }
}
