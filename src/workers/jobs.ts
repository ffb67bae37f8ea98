import { setTimeout as delay } from 'node:timers/promises';
import type { BackendFactory, IQueueBackend, JobsOptions } from 'bullmq';
import { z } from 'zod';
import type { Signal } from '../projections/project.ts';

/** The one queue; on Postgres its sequence of job ids is made with the tables. */
export const QUEUE_NAME = 'signals';

/** Signals that one job carries at the most. */
const SIGNALS_TOGETHER = 2_000;

/**
 * In ms: how long a worker rests that could not fetch a job, or say what became of one. BullMQ's own 15 s are for many
 * workers; here they are as long as the history stands still.
 */
export const WORKER_RESTS = 1_000;

/** A lost job costs nothing but time, since the router signals again: a few tries are enough. */
const OPTIONS: JobsOptions = {
  attempts: 5,
  backoff: { type: 'exponential', delay: 200 },
  removeOnComplete: true,
  removeOnFail: { count: 100 },
};

/** What a job carries: its signals as one text, since a queue on Postgres takes every member of its jobs' JSON apart. */
type JobData = { readonly signals: string };

export type Job = { readonly name: string; readonly data: JobData; readonly opts: JobsOptions };

/** What a worker does with the signals of a job. */
export type Handle = (signals: readonly Signal[]) => Promise<void>;

/**
 * The jobs that carry signals. What fits goes into one job, since handling a job costs as much as applying dozens of
 * events; more than that goes by partition, so that several projectors share it without waiting for each other's locks.
 */
export function jobsOf(partitions: readonly (readonly Signal[])[]): readonly Job[] {
  const all = partitions.flat();
  const parts = all.length > SIGNALS_TOGETHER ? partitions : [all];
  return parts.flatMap((signals) =>
    chunks(signals).map((chunk) => ({ name: QUEUE_NAME, data: { signals: written(chunk) }, opts: OPTIONS })),
  );
}

function written(signals: readonly Signal[]): string {
  return JSON.stringify(signals.map(({ stream, revision }) => [stream, revision]));
}

const pairs = z.array(z.tuple([z.string(), z.int()]));

/** The signals that a job carries. Throws for a job of another version: it fails, and the router signals again. */
export function signalsOf({ signals }: JobData): readonly Signal[] {
  return pairs.parse(JSON.parse(signals)).map(([stream, revision]) => ({ stream, revision }));
}

function chunks(signals: readonly Signal[]): (readonly Signal[])[] {
  const result: (readonly Signal[])[] = [];
  for (let at = 0; at < signals.length; at += SIGNALS_TOGETHER) result.push(signals.slice(at, at + SIGNALS_TOGETHER));
  return result;
}

/** Backends that rest where they can't fetch a job, before they say so: BullMQ asks again at once, for as long as it fails. */
export function resting<Backend extends IQueueBackend, Options>(
  create: BackendFactory<Backend, Options>,
): BackendFactory<Backend, Options> {
  return (name, opts, options) => {
    const backend = create(name, opts, options);
    const fetch = backend.moveToActive.bind(backend);
    backend.moveToActive = (token, worker) =>
      fetch(token, worker).catch(async (error: unknown) => {
        await delay(WORKER_RESTS, undefined, { ref: false });
        throw error;
      });
    return backend;
  };
}
