import type { Logger } from 'pino';
import { linkedAbort } from '../events/linked-abort.ts';
import type { Position, Store } from '../events/store.ts';
import { findBehind, findParked } from '../projections/checkpoints.ts';
import type { ReadDatabase } from '../projections/database.ts';
import { PARTITIONS, partitionOf } from '../projections/partitions.ts';
import type { Signal } from '../projections/project.ts';
import { readAppliedPosition, writeAppliedPosition } from '../projections/router-position.ts';
import { pause } from '../events/pause.ts';
import type { SignalQueue } from './queues.ts';

/*
 * The router follows the log and signals which streams advanced. Jobs are hints: what is applied stands in the
 * checkpoints alone, and the router goes by them.
 *
 *   log ─▶ signals by partition ─▶ queue ─▶ projectors ─▶ checkpoints
 *                │                                            │
 *                └── open batches ◀── applied? signal again ◀─┘ ──▶ position, where the next router starts
 */

/** In events: twice what one job carries, so that where there is much to do it goes to several workers. */
const READ_TOGETHER = 4_000;
/** Batches that are signalled and not yet seen to be applied, at the most. */
const MAX_OPEN = 32;
/** In ms: signals of this time go out together, since the queue's jobs are dear and streams advance again and again. */
const ROUND = 30;
/** Where so many events came in a round, the next one is longer: batches get dearer to send than to wait for. */
const MANY = 100;
const LONG_ROUND = 300;
const CHECK_EVERY = 200;
/** In ms: a batch is mostly not applied before, and to look would take as long as to apply a tenth of it. */
const LOOK_AFTER = 500;
const SIGNAL_AGAIN = 2_000;
/** In ms: parked streams are tried again now and then, since a newer process may know their events. */
const TRY_PARKED = 60_000;
const PARKED_TOGETHER = 10_000;

type OpenBatch = { readonly position: Position; behind: readonly Signal[]; signalledAt: number };

export type RouterParts = {
  readonly store: Pick<Store, 'subscribe'>;
  readonly db: ReadDatabase;
  readonly queue: SignalQueue;
  readonly log: Logger;
};

/** Routes until told to stop. One process at a time: run it under lead(). */
export async function route({ store, db, queue, log }: RouterParts, stop: AbortSignal): Promise<void> {
  const failed = linkedAbort(stop);
  const { signal } = failed;
  const open: OpenBatch[] = [];
  const after = await readAppliedPosition(db);

  const follow = async (): Promise<void> => {
    for await (const events of store.subscribe({ after, limit: READ_TOGETHER, signal })) {
      const behind = highestOf(events);
      await queue.send(partitioned(behind));
      open.push({ position: events.at(-1)?.position ?? after, behind, signalledAt: Date.now() });
      // Where there is more already, it goes on at once.
      if (events.length < READ_TOGETHER) await pause(events.length > MANY ? LONG_ROUND : ROUND, signal);
      while (open.length >= MAX_OPEN && !signal.aborted) await pause(CHECK_EVERY, signal);
    }
  };

  const confirm = async (): Promise<void> => {
    while (!signal.aborted) {
      await pause(CHECK_EVERY, signal);
      await confirmOpen();
    }
  };

  const confirmOpen = async (): Promise<void> => {
    let applied: Position | undefined;
    for (let batch = open[0]; batch !== undefined && isOld(batch); batch = open[0]) {
      batch.behind = await findBehind(db, batch.behind);
      if (batch.behind.length > 0) break;
      applied = batch.position;
      open.shift();
    }
    if (applied !== undefined) await writeAppliedPosition(db, applied);
    // Where the oldest is late so may be those behind it: a queue that lost one job has mostly lost more.
    if (open[0] === undefined || Date.now() - open[0].signalledAt <= SIGNAL_AGAIN) return;
    const late = await findBehind(db, highestOf(open.flatMap(({ behind }) => behind)));
    log.info({ streams: late.length }, 'signalling again');
    for (const batch of open) batch.signalledAt = Date.now();
    await queue.send(partitioned(late));
  };

  const tryParked = async (): Promise<void> => {
    while (!signal.aborted) {
      await queue.send(partitioned(await findParked(db, PARKED_TOGETHER)));
      await pause(TRY_PARKED, signal);
    }
  };

  // If one fails the others stop too, and the router is started again from what is applied.
  const parts = [follow(), confirm(), tryParked()].map((part) => part.finally(() => failed.abort()));
  for (const ended of await Promise.allSettled(parts)) if (ended.status === 'rejected') throw ended.reason;
}

const isOld = ({ signalledAt }: OpenBatch): boolean => Date.now() - signalledAt >= LOOK_AFTER;

/** Each stream once, at the highest revision. */
function highestOf(signals: readonly Signal[]): readonly Signal[] {
  const highest = new Map<string, number>();
  for (const { stream, revision } of signals) highest.set(stream, Math.max(revision, highest.get(stream) ?? -1));
  return [...highest].map(([stream, revision]) => ({ stream, revision }));
}

/** Signals by the hash of their stream: a stream is always in the same partition. */
function partitioned(signals: readonly Signal[]): readonly (readonly Signal[])[] {
  const partitions = Array.from({ length: PARTITIONS }, (): Signal[] => []);
  for (const one of signals) partitions[partitionOf(one.stream)]?.push(one);
  return partitions;
}
