import { pino } from 'pino';
import { afterEach } from 'vitest';
import type { TestLedger } from '../support/ledger.ts';
import { openWorkers } from './working.ts';

/** A line of the log. */
export type LogLine = {
  readonly level: number;
  readonly msg: string;
  readonly reason?: string;
  readonly err?: { message: string };
};

/** Workers whose queue is on a Redis. */
export type RedisWorkers = {
  readonly ledger: TestLedger;
  /** What they have logged so far, as it stands in the log. */
  readonly text: () => string;
  readonly lines: () => readonly LogLine[];
  close(): Promise<void>;
};

const PREFIX = 'test';

const open = new Set<{ close(): Promise<void> }>();

/** Ends what a test has opened with `openWorkersOn`, whichever way the test went. */
export function closeAfterEach(): void {
  afterEach(async () => {
    await Promise.all([...open].map((one) => one.close()));
    open.clear();
  });
}

/** Workers with a context of their own on a database and a Redis, as a process has them. Returns before Redis is reached. */
export async function openWorkersOn(databaseUrl: string, redisUrl: string): Promise<RedisWorkers> {
  const logged: string[] = [];
  const log = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) });
  const workers = await openWorkers(databaseUrl, { log, queue: { kind: 'redis', url: redisUrl, prefix: PREFIX } });
  let closed: Promise<void> | undefined;
  const one: RedisWorkers = {
    ledger: workers.ledger,
    text: () => logged.join(''),
    lines: () => logged.map((line) => JSON.parse(line) as LogLine),
    close: () => (closed ??= workers.close()),
  };
  open.add(one);
  return one;
}

/** How often the router has ended since it could not send. */
export function routersEnded({ lines }: RedisWorkers): number {
  return lines().filter(({ msg }) => msg === 'a term as leader ended early').length;
}

/** Why Redis could not be used, as the log says it. */
export function reasons({ lines }: RedisWorkers): readonly string[] {
  return lines().flatMap(({ reason }) => (reason === undefined ? [] : [reason]));
}
