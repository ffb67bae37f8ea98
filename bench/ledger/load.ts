import { performance } from 'node:perf_hooks';
import { type Connection, openConnection, type RawAnswer } from './connection.ts';
import { Latencies } from './latencies.ts';

export const CONNECTIONS = 64;

/** What one connection does: one request after the other, the next one when the last one is answered. */
export type Lane = {
  /** The next request as text; undefined when there are no more. */
  next(): string | undefined;
  onAnswer?(answer: RawAnswer): void;
};

/** What was measured. */
export type Load = {
  readonly commands: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly latencies: Latencies;
  /** Answers that were no 2xx, by status. */
  readonly failed: ReadonlyMap<number, number>;
  /** The last answer of each connection. */
  readonly last: readonly RawAnswer[];
};

/** How long to go on: until the lanes have no more, or for some time, of which the first part isn't counted. In ms. */
export type Duration = { readonly warmUp: number; readonly measure: number } | 'until done';

/** Runs lanes, each on a connection of its own. */
export async function runLoad(port: number, lanes: readonly Lane[], duration: Duration): Promise<Load> {
  let onBroken: (error: Error) => void = () => undefined;
  const broken = new Promise<never>((_, reject) => {
    onBroken = reject;
  });
  broken.catch(() => undefined);
  const connections = await Promise.all(lanes.map(() => openConnection(port, (error) => onBroken(error))));
  const latencies = new Latencies();
  const failed = new Map<number, number>();
  const last: RawAnswer[] = [];
  const start = performance.now();
  const countFrom = duration === 'until done' ? start : start + duration.warmUp;
  const countTo = duration === 'until done' ? Number.POSITIVE_INFINITY : countFrom + duration.measure;

  /** Ends when its lane has no more, or time is up. */
  const drive = (connection: Connection, lane: Lane, index: number): Promise<void> =>
    new Promise((resolve) => {
      const sendNext = (): void => {
        const text = performance.now() < countTo ? lane.next() : undefined;
        if (text === undefined) return resolve();
        const sent = performance.now();
        connection.send(text, (answer) => {
          const now = performance.now();
          if (now >= countFrom && now < countTo) latencies.add(now - sent);
          if (answer.status >= 300) failed.set(answer.status, (failed.get(answer.status) ?? 0) + 1);
          last[index] = answer;
          lane.onAnswer?.(answer);
          sendNext();
        });
      };
      sendNext();
    });

  try {
    await Promise.race([
      Promise.all(connections.map((connection, index) => drive(connection, lanes[index] as Lane, index))),
      broken,
    ]);
  } finally {
    for (const connection of connections) connection.close();
  }
  const seconds = (Math.min(performance.now(), countTo) - countFrom) / 1_000;
  return {
    commands: latencies.total,
    seconds,
    perSecond: latencies.total / seconds,
    latencies,
    failed,
    last,
  };
}

/** Several loads as one. */
export function together(loads: readonly Load[]): Load {
  const latencies = new Latencies();
  const failed = new Map<number, number>();
  for (const load of loads) {
    latencies.addAll(load.latencies);
    for (const [status, count] of load.failed) failed.set(status, (failed.get(status) ?? 0) + count);
  }
  const seconds = loads.reduce((sum, load) => sum + load.seconds, 0);
  const commands = latencies.total;
  return { commands, seconds, perSecond: commands / seconds, latencies, failed, last: loads.at(-1)?.last ?? [] };
}

/** Lanes that share one source of requests. */
export function lanesFrom(next: () => string | undefined, count = CONNECTIONS): readonly Lane[] {
  return Array.from({ length: count }, () => ({ next }));
}
