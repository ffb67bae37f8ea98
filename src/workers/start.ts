import type pg from 'pg';
import type { Logger } from 'pino';
import type { Accounts } from '../commands/account-decider.ts';
import type { Clock } from '../events/clock.ts';
import type { Store } from '../events/store.ts';
import type { ReadDatabase } from '../projections/database.ts';
import { expireDue } from './expirer.ts';
import { createFeeder, type OtherDatabases } from './feeder.ts';
import { lead } from './leader.ts';
import { createProjector } from './projector.ts';
import { openQueue, type QueueConnection, workQueue } from './queues.ts';
import { route } from './router.ts';

/** Names of the duties that one process at a time has, as advisory locks. */
const ROUTER_LOCK = 7_041_852;
const EXPIRER_LOCK = 7_041_853;
/** Projections of one process: two at once take turns with the appends on a small machine. More processes do more. */
const PROJECTIONS_AT_ONCE = 1;

export type WorkerParts = {
  readonly store: Store;
  readonly db: ReadDatabase;
  readonly others: OtherDatabases;
  readonly accounts: Accounts;
  readonly clock: Clock;
  readonly queue: QueueConnection;
  readonly makeClient: () => pg.Client;
  readonly log: Logger;
};

/** Starts all that works behind the requests: projectors here, and router and expirer wherever this process leads. */
export function startWorkers(parts: WorkerParts): { close(): Promise<void> } {
  const { store, db, others, accounts, clock, queue, makeClient, log } = parts;
  const signals = openQueue(queue, log);
  const feeder = createFeeder({ others, store, log });
  const projector = workQueue(queue, { concurrency: PROJECTIONS_AT_ONCE, log }, createProjector({ db, store, log, feeder }));
  const router = lead({ lock: ROUTER_LOCK, makeClient, log }, (signal) => route({ store, db, queue: signals, log }, signal));
  const expirer = lead({ lock: EXPIRER_LOCK, makeClient, log }, (signal) => expireDue({ db, accounts, clock, log }, signal));
  return {
    async close() {
      await Promise.all([router.close(), expirer.close()]);
      await projector.close();
      await feeder.close();
      await signals.close();
    },
  };
}
