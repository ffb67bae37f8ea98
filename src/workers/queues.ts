import type pg from 'pg';
import type { Logger } from 'pino';
import type { Signal } from '../projections/project.ts';
import { type Handle, jobsOf } from './jobs.ts';
import { openPostgresSender, openPostgresWorker, type PostgresPlace, QUEUE_SCHEMA } from './postgres-queue.ts';
import { openRedisSender, openRedisWorker, pingRedis, type RedisPlace } from './redis-queue.ts';

/**
 * Jobs that wait at the most. Where nobody works on them the router signals again and again: more would say nothing new,
 * and fill the memory of Redis.
 */
const MOST_WAITING = 1_000;

/** Where the queue runs: on Redis, or on Postgres under the service's role. */
export type QueueConnection = ({ readonly kind: 'redis' } & RedisPlace) | ({ readonly kind: 'postgres' } & PostgresPlace);

/** The way from the router to the projectors. */
export type SignalQueue = {
  /** Sends signals, those of each partition together; or none, where enough wait already. Rejects where it can't. */
  send(partitions: readonly (readonly Signal[])[]): Promise<void>;
  close(): Promise<void>;
};

/** The router's end of the queue. */
export function openQueue(connection: QueueConnection, log: Logger): SignalQueue {
  const sender = connection.kind === 'redis' ? openRedisSender(connection, log) : openPostgresSender(connection, log);
  // How many jobs there is room for at least: they are counted when it may be none.
  let room = 0;
  return {
    async send(partitions) {
      const jobs = jobsOf(partitions);
      if (jobs.length === 0) return;
      if (room < jobs.length) room = MOST_WAITING - (await sender.countWaiting());
      if (room <= 0) return;
      room -= jobs.length;
      await sender.add(jobs);
    },
    close: () => sender.close(),
  };
}

/** A projector's end of the queue: calls `handle` for each job, `concurrency` at once. Closing waits for jobs under way. */
export function workQueue(
  connection: QueueConnection,
  options: { readonly concurrency: number; readonly log: Logger },
  handle: Handle,
): { close(): Promise<void> } {
  if (connection.kind === 'redis') return openRedisWorker(connection, options, handle);
  return openPostgresWorker(connection, options, handle);
}

/** Asks whether the queue can be used: Redis for a write, or Postgres for its table. Rejects where it can't. */
export async function pingQueue(connection: QueueConnection, pool: pg.Pool): Promise<void> {
  // Reads no row: that the table is there, and that we may read it, is found out before.
  if (connection.kind === 'postgres') await pool.query(`select from ${QUEUE_SCHEMA}.job limit 0`);
  else await pingRedis(connection);
}
