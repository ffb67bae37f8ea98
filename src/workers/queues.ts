import { createPostgresBackend, type JobsOptions, Queue, Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type pg from 'pg';
import type { Logger } from 'pino';
import { WITHOUT_WAITING } from '../database.ts';
import type { Signal } from '../projections/project.ts';

/** The schema in which the queue keeps its tables, where it runs on Postgres. */
export const QUEUE_SCHEMA = 'queue';

/** The one queue; on Postgres its sequence of job ids is made with the tables. */
export const QUEUE_NAME = 'signals';

/** Signals that one job carries at the most. */
const SIGNALS_TOGETHER = 500;

/** A lost job costs nothing but time, since the router signals again: a few tries are enough. */
const JOB: JobsOptions = {
  attempts: 5,
  backoff: { type: 'exponential', delay: 200 },
  removeOnComplete: true,
  removeOnFail: { count: 100 },
};

/** Where the queue runs: on Redis, or on Postgres under the service's role. */
export type QueueConnection =
  | { readonly kind: 'redis'; readonly url: string; readonly prefix: string }
  | { readonly kind: 'postgres'; readonly url: string; readonly role: string };

/** In ms. */
const PING_WITHIN = 1_000;

type Job = { readonly signals: readonly Signal[] };

/** The way from the router to the projectors. */
export type SignalQueue = {
  /** Sends signals, those of each partition together. */
  send(partitions: readonly (readonly Signal[])[]): Promise<void>;
  close(): Promise<void>;
};

/** The router's end of the queue. */
export function openQueue(connection: QueueConnection, log: Logger): SignalQueue {
  const queue =
    connection.kind === 'redis'
      ? new Queue(QUEUE_NAME, { connection: { url: connection.url }, prefix: connection.prefix })
      : new Queue(QUEUE_NAME, { connection: postgresOptions(connection) }, createPostgresBackend);
  queue.on('error', (error) => log.warn({ err: error }, 'queue'));
  return {
    async send(partitions) {
      const jobs = partitions.flatMap((signals) =>
        chunks(signals).map((chunk) => ({ name: QUEUE_NAME, data: { signals: chunk }, opts: JOB })),
      );
      if (jobs.length > 0) await queue.addBulk(jobs);
    },
    close: () => queue.close(),
  };
}

/** A projector's end of the queue: calls `handle` for each job, `concurrency` at once. Closing waits for jobs under way. */
export function workQueue(
  connection: QueueConnection,
  { concurrency, log }: { readonly concurrency: number; readonly log: Logger },
  handle: (signals: readonly Signal[]) => Promise<void>,
): { close(): Promise<void> } {
  const work = (job: { data: Job }) => handle(job.data.signals);
  const worker =
    connection.kind === 'redis'
      ? // A worker waits for Redis as long as it takes: https://docs.bullmq.io/guide/going-to-production
        new Worker(QUEUE_NAME, work, {
          connection: { url: connection.url, maxRetriesPerRequest: null },
          prefix: connection.prefix,
          concurrency,
        })
      : new Worker(QUEUE_NAME, work, { connection: postgresOptions(connection), concurrency }, createPostgresBackend);
  worker.on('error', (error) => log.warn({ err: error }, 'queue'));
  worker.on('failed', (_, error) => log.warn({ err: error }, 'a projection job failed'));
  return { close: () => worker.close() };
}

/**
 * Asks whether the queue can be used: its server for a sign of life, on a connection of its own, or Postgres for its
 * table. Rejects where it can't.
 */
export async function pingQueue(connection: QueueConnection, pool: pg.Pool): Promise<void> {
  if (connection.kind === 'postgres') {
    // Reads no row: that the table is there, and that we may read it, is found out before.
    await pool.query(`select from ${QUEUE_SCHEMA}.job limit 0`);
    return;
  }
  const redis = new Redis(connection.url, {
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    connectTimeout: PING_WITHIN,
    retryStrategy: null,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    await redis.ping();
  } finally {
    redis.disconnect();
  }
}

/** Jobs are hints: they need not wait for the disk. */
function postgresOptions({ url, role }: Extract<QueueConnection, { kind: 'postgres' }>) {
  return { connectionString: url, schema: QUEUE_SCHEMA, options: `-c role=${role} ${WITHOUT_WAITING}`, max: 4 };
}

function chunks(signals: readonly Signal[]): (readonly Signal[])[] {
  const result: (readonly Signal[])[] = [];
  for (let at = 0; at < signals.length; at += SIGNALS_TOGETHER) result.push(signals.slice(at, at + SIGNALS_TOGETHER));
  return result;
}
