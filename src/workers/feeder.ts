import type { Logger } from 'pino';
import type { Store } from '../events/store.ts';
import type { ReadDatabase } from '../projections/database.ts';
import { type OtherGeneration, OTHERS } from '../projections/generations.ts';
import { project, type Signal } from '../projections/project.ts';

/*
 * Brings what was applied to the live generation to those beside it, behind the jobs: nothing that is slow, locked or
 * wrong over there holds up a job, or fails one. What is missed that way (by an error, or a process that dies) comes with
 * the stream's next event, or at the latest before a switch, which sees to it.
 */

/** The generations beside the live one, whether they stand or not. */
export type OtherDatabases = { readonly [Name in OtherGeneration]: ReadDatabase };

export type Feeder = {
  /** Hands on signals that the live generation has dealt with. */
  feed(generations: readonly OtherGeneration[], signals: readonly Signal[]): void;
  /** Takes nothing more, and waits a while for what is left. */
  close(): Promise<void>;
};

/** Streams that wait for one generation, at the most: who is behind by more has to catch up from the log anyway. */
const MOST_WAITING = 50_000;
const STREAMS_TOGETHER = 500;
/** How often one round goes on with streams that are far behind. */
const MAX_ROUNDS = 100;
/** In ms: how often the same trouble is told. */
const TELL_EVERY = 60_000;
/** In ms: for so long a process that closes goes on feeding. */
const CLOSE_WITHIN = 5_000;

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: no such table. The generation was removed, or renamed. */
const GONE = '42P01';

/** Feeds the generations that are named to it, each by itself. */
export function createFeeder({
  others,
  store,
  log,
}: {
  readonly others: OtherDatabases;
  readonly store: Pick<Store, 'readStreams'>;
  readonly log: Logger;
}): Feeder {
  const pipes = new Map(OTHERS.map((name) => [name, openPipe(name, { db: others[name], store, log })]));
  return {
    feed(generations, signals) {
      for (const name of generations) pipes.get(name)?.take(signals);
    },
    async close() {
      await Promise.all([...pipes.values()].map((pipe) => pipe.close()));
    },
  };
}

function openPipe(
  name: OtherGeneration,
  { db, store, log }: { readonly db: ReadDatabase; readonly store: Pick<Store, 'readStreams'>; readonly log: Logger },
) {
  const waiting = new Map<string, number>();
  let running: Promise<void> | undefined;
  let endsAt = Number.POSITIVE_INFINITY;
  let toldAt = Number.NEGATIVE_INFINITY;

  const tell = (what: string, error?: unknown): void => {
    if (performance.now() - toldAt < TELL_EVERY) return;
    toldAt = performance.now();
    log.warn({ generation: name, ...(error === undefined ? {} : { err: error }) }, what);
  };

  const bring = async (signals: readonly Signal[]): Promise<void> => {
    let open = signals;
    for (let round = 0; round < MAX_ROUNDS && open.length > 0; round += 1) {
      const { unfinished, parked } = await project(db, store, open);
      for (const one of parked) log.warn({ generation: name, ...one }, 'a stream is parked in another generation');
      open = unfinished;
    }
  };

  const run = async (): Promise<void> => {
    while (waiting.size > 0 && performance.now() < endsAt) {
      const signals = [...waiting].slice(0, STREAMS_TOGETHER).map(([stream, revision]) => ({ stream, revision }));
      for (const { stream } of signals) waiting.delete(stream);
      try {
        await bring(signals);
      } catch (error) {
        if ((error as { code?: unknown }).code === GONE) waiting.clear();
        else tell('another generation is not fed, and will have to catch up', error);
      }
    }
    running = undefined;
  };

  return {
    take(signals: readonly Signal[]): void {
      if (endsAt !== Number.POSITIVE_INFINITY) return;
      for (const { stream, revision } of signals) {
        const known = waiting.get(stream);
        if (known === undefined && waiting.size >= MOST_WAITING)
          tell('another generation is too slow, and will have to catch up');
        else waiting.set(stream, Math.max(revision, known ?? -1));
      }
      running ??= run();
    },
    async close(): Promise<void> {
      endsAt = performance.now() + CLOSE_WITHIN;
      await running;
    },
  };
}
