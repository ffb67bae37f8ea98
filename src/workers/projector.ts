import type { Logger } from 'pino';
import type { Store } from '../events/store.ts';
import type { ReadDatabase } from '../projections/database.ts';
import type { OtherGeneration } from '../projections/generations.ts';
import { project, type Signal } from '../projections/project.ts';
import type { Feeder } from './feeder.ts';

/** How often one job goes on with streams that are far behind; the router signals what is left after that. */
const MAX_ROUNDS = 100;

/**
 * Handles a job: brings the signalled streams up to where they were signalled, and lets the generations beside the live
 * one know. Parked streams raise an alarm.
 */
export function createProjector({
  db,
  store,
  log,
  feeder,
}: {
  readonly db: ReadDatabase;
  readonly store: Pick<Store, 'readStreams'>;
  readonly log: Logger;
  readonly feeder?: Pick<Feeder, 'feed'>;
}) {
  return async (signals: readonly Signal[]): Promise<void> => {
    let open = signals;
    let beside: readonly OtherGeneration[] = [];
    for (let round = 0; round < MAX_ROUNDS && open.length > 0; round += 1) {
      const { unfinished, parked, others = [] } = await project(db, store, open);
      for (const { stream, revision, error } of parked) log.error({ stream, revision, error }, 'a stream is parked');
      open = unfinished;
      beside = others;
    }
    feeder?.feed(beside, signals);
  };
}
