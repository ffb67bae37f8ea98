import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { createRedisBackend, Queue, Worker } from 'bullmq';
import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from 'pino';
import { within } from '../events/within.ts';
import { type Handle, type Job, QUEUE_NAME, resting, signalsOf, WORKER_RESTS } from './jobs.ts';
import { createTroubleLog, errorWithoutArguments, warnOfSettings } from './redis-trouble.ts';

/*
 * The queue on Redis. Whatever Redis does, nothing here waits for it without a bound but a worker that has nothing to do:
 *
 *   sending   fails at once while there is no connection, and after SEND_WITHIN where there is no answer
 *   working   waits until Redis is back, and goes on
 *   closing   waits for what is under way in this process, and for Redis LET_GO at the most
 *
 * A connection on which no answer comes is given up and made again, or its commands would pile up in memory.
 */

/** Which Redis, and what begins the names of the queue's keys there. */
export type RedisPlace = { readonly url: string; readonly prefix: string };

/** In ms. */
const CONNECT_WITHIN = 3_000;
const SEND_WITHIN = 3_000;
const PING_WITHIN = 1_000;
/** In ms: a worker's commands are answered within 10 s, since it asks for a job to wait for at the most as long. */
const WORKER_SILENT_FOR = 15_000;
/** In ms: how long a connection that is closed may take to say goodbye, and Redis to take note of a job that has ended. */
const LET_GO = 500;
const RETRY_AT_MOST = 2_000;

const OF_EVERY_CONNECTION = {
  connectTimeout: CONNECT_WITHIN,
  disconnectTimeout: LET_GO,
  retryStrategy: (times) => Math.min(times * 100, RETRY_AT_MOST),
} as const satisfies RedisOptions;

/** A connection for sending: what it can't send now fails, since the router will send it again. */
const FOR_SENDING = {
  ...OF_EVERY_CONNECTION,
  socketTimeout: SEND_WITHIN,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
} as const satisfies RedisOptions;

/** A connection for a worker, which waits for Redis as long as it takes: https://docs.bullmq.io/guide/going-to-production */
const FOR_WORKING = {
  ...OF_EVERY_CONNECTION,
  socketTimeout: WORKER_SILENT_FOR,
  maxRetriesPerRequest: null,
} as const satisfies RedisOptions;

/**
 * BullMQ would ask a server for its version once, and never be ready where that answer is lost. `warnOfSettings` looks
 * instead.
 */
const UNASKED = { skipVersionCheck: true } as const;

/** Where jobs are put. */
export type RedisSender = {
  /** How many jobs wait for a worker. Rejects within a bound, as adding does. */
  countWaiting(): Promise<number>;
  add(jobs: readonly Job[]): Promise<void>;
  close(): Promise<void>;
};

/** The sending end of the queue. Returns at once, whether Redis is there or not. */
export function openRedisSender({ url, prefix }: RedisPlace, log: Logger): RedisSender {
  const redis = connect(url, FOR_SENDING);
  const trouble = createTroubleLog(log, url);
  redis.on('ready', () => {
    trouble.isOver();
    warnOfSettings(redis, log).catch(() => undefined);
  });
  const queue = new Queue(QUEUE_NAME, { connection: redis, prefix, ...UNASKED, skipWaitingForReady: true });
  // It is told of the errors of our connection too.
  queue.on('error', trouble.is);
  const bounded = async <Value>(ask: () => Promise<Value>): Promise<Value> => {
    try {
      if (redis.status !== 'ready') await within(SEND_WITHIN, once(redis, 'ready'));
      return await within(SEND_WITHIN, ask());
    } catch (error) {
      throw errorWithoutArguments(error);
    }
  };
  return {
    countWaiting: () => bounded(() => queue.getWaitingCount()),
    add: (jobs) => bounded(async () => void (await queue.addBulk([...jobs]))),
    async close() {
      await queue.close();
      redis.disconnect();
    },
  };
}

/** A worker of the queue. Closing waits for jobs under way, and not for Redis; what Redis wasn't told is done again. */
export function openRedisWorker(
  { url, prefix }: RedisPlace,
  { concurrency, log }: { readonly concurrency: number; readonly log: Logger },
  handle: Handle,
): { close(): Promise<void> } {
  const redis = connect(url, FOR_WORKING);
  const trouble = createTroubleLog(log, url);
  redis.on('ready', trouble.isOver);
  const underWay = new Set<Promise<void>>();
  const work = async ({ data }: Pick<Job, 'data'>): Promise<void> => {
    const one = handle(signalsOf(data));
    underWay.add(one);
    await one.finally(() => underWay.delete(one));
  };
  const options = { connection: redis, prefix, concurrency, runRetryDelay: WORKER_RESTS, ...UNASKED };
  const worker = new Worker(QUEUE_NAME, work, options, resting(createRedisBackend));
  worker.on('error', trouble.is);
  worker.on('failed', (_, error) => log.warn({ err: errorWithoutArguments(error) }, 'a projection job failed'));
  return {
    async close() {
      // It fetches no more; closing it without force would wait for Redis.
      await worker.pause(true);
      while (underWay.size > 0) await Promise.allSettled(underWay);
      if (redis.status === 'ready') {
        // Answers come in order: with this one Redis has also heard that the last job is done.
        await nextTurn();
        await within(LET_GO, redis.ping()).catch(() => undefined);
      }
      await worker.close(true);
      redis.disconnect();
    },
  };
}

/**
 * Finds out on a connection of its own whether Redis can be used, by writing: one that is full, that can't save what it
 * should, or that only copies another, answers and takes no job. Rejects within a bound where it can't.
 */
export async function pingRedis({ url, prefix }: RedisPlace): Promise<void> {
  const redis = connect(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    connectTimeout: PING_WITHIN,
    disconnectTimeout: LET_GO,
    retryStrategy: null,
  });
  // Why it can't be connected to is told here alone.
  let reason: unknown;
  redis.once('error', (error) => (reason = error));
  try {
    await within(
      PING_WITHIN,
      redis.connect().then(() => redis.psetex(`${prefix}:ready`, PING_WITHIN, '1')),
    );
  } catch (error) {
    throw errorWithoutArguments(reason ?? error);
  } finally {
    redis.disconnect();
  }
}

function connect(url: string, options: Omit<RedisOptions, 'replyMapping'>): Redis {
  const redis = new Redis(url, options);
  // Without a listener, errors are printed; whoever wants to hear of them listens too.
  redis.on('error', () => undefined);
  return redis;
}
