import { createPostgresBackend, Queue, Worker } from 'bullmq';
import type { Logger } from 'pino';
import { WITHOUT_WAITING } from '../database.ts';
import { type Handle, type Job, QUEUE_NAME, resting, signalsOf, WORKER_RESTS } from './jobs.ts';
import { pause } from '../events/pause.ts';
import { within } from '../events/within.ts';

/** The schema in which the queue keeps its tables, where it runs on Postgres. */
export const QUEUE_SCHEMA = 'queue';

/** In ms. */
const CONNECT_WITHIN = 3_000;
/** In ms: what takes longer is sent again. */
const SEND_WITHIN = 10_000;
/** In ms: how long it rests before an end of the queue is opened again. */
const REST = 1_000;

/** Which Postgres, and the role that connections take. */
export type PostgresPlace = { readonly url: string; readonly role: string };

/** The sending end of the queue: how many jobs wait for a worker, and where to put more. */
export function openPostgresSender(place: PostgresPlace, log: Logger) {
  const queue = reopening(() => {
    const opened = new Queue(QUEUE_NAME, { connection: optionsOf(place) }, createPostgresBackend);
    opened.on('error', (error) => log.warn({ err: error }, 'queue'));
    return opened;
  });
  return {
    countWaiting: () => within(SEND_WITHIN, queue.current().getWaitingCount()),
    /** One by one: adding several at once makes tables of its own each time, which takes longer than ten single ones. */
    async add(jobs: readonly Job[]) {
      for (const { name, data, opts } of jobs) await within(SEND_WITHIN, queue.current().add(name, data, opts));
    },
    close: () => queue.close(),
  };
}

/** A worker of the queue. Closing waits for jobs under way. */
export function openPostgresWorker(
  place: PostgresPlace,
  { concurrency, log }: { readonly concurrency: number; readonly log: Logger },
  handle: Handle,
): { close(): Promise<void> } {
  const worker = reopening(() => {
    const opened = new Worker(
      QUEUE_NAME,
      (job: Pick<Job, 'data'>) => handle(signalsOf(job.data)),
      { connection: optionsOf(place), concurrency, runRetryDelay: WORKER_RESTS },
      resting(createPostgresBackend),
    );
    opened.on('error', (error) => log.warn({ err: error }, 'queue'));
    opened.on('failed', (_, error) => log.warn({ err: error }, 'a projection job failed'));
    return opened;
  });
  return { close: () => worker.close() };
}

type End = { waitUntilReady(): Promise<unknown>; close(): Promise<void> };

/**
 * Keeps an end of the queue. BullMQ looks at its tables once; where that fails, since Postgres is away or the connection
 * is lost just then, it remembers the failure for ever: so that end is closed and another one opened, until one is ready.
 */
function reopening<Kept extends End>(open: () => Kept): { current(): Kept; close(): Promise<void> } {
  const stop = new AbortController();
  let kept = open();
  const keep = async (): Promise<void> => {
    while (!stop.signal.aborted && !(await isReady(kept))) {
      await kept.close().catch(() => undefined);
      await pause(REST, stop.signal);
      if (!stop.signal.aborted) kept = open();
    }
  };
  const keeping = keep();
  return {
    current: () => kept,
    close: async () => {
      stop.abort();
      await kept.close();
      await keeping;
    },
  };
}

const isReady = (end: End): Promise<boolean> =>
  end.waitUntilReady().then(
    () => true,
    () => false,
  );

/** Jobs are hints: they need not wait for the disk. */
function optionsOf({ url, role }: PostgresPlace) {
  return {
    connectionString: url,
    schema: QUEUE_SCHEMA,
    options: `-c role=${role} ${WITHOUT_WAITING}`,
    connectionTimeoutMillis: CONNECT_WITHIN,
    max: 4,
  };
}
