import { performance } from 'node:perf_hooks';
import type { Service } from '../service.ts';
import { type Connection, openConnection, type RawAnswer } from './connection.ts';
import { lanesFrom, runLoad } from './load.ts';
import { mean, median } from './latencies.ts';
import type { Requests } from './requests.ts';
import { mustBeFine } from './scenarios.ts';

/** Events of an account with a short history: opened, granted, eight uses. */
const SHORT_EVENTS = 10;

/** What one command costs on accounts with short and with long histories, in ms, one command at a time. */
export type HistoryCost = {
  readonly longEvents: number;
  readonly warm: Cost;
  readonly cold: Cost;
};

type Cost = {
  readonly short: number;
  readonly long: number;
  readonly meanShort: number;
  readonly meanLong: number;
  readonly samples: number;
};

export type HistorySize = {
  /** Events of a long history. */
  readonly events: number;
  readonly longAccounts: number;
  readonly warmSamples: number;
  /** How often the API is started anew: each time every account is cold once more. */
  readonly restarts: number;
  readonly warmUp: number;
};

/** Measures short and long alternately, so that what else goes on falls on both alike. */
export async function measureHistory(service: Service, requests: Requests, size: HistorySize): Promise<HistoryCost> {
  const long = Array.from({ length: size.longAccounts }, (_, index) => `long-${index}`);
  // Every short account is used once: a second use would find it longer, or warm.
  const shortCount = Math.max(size.warmSamples, size.restarts * size.longAccounts);
  const warmShort = Array.from({ length: shortCount }, (_, index) => `short-${index}`);
  const coldShort = warmShort.map((name) => `cold-${name}`);
  const warmers = Array.from({ length: size.restarts * 100 }, (_, index) => `warmer-${index}`);
  await makeHistories(service, requests, [...warmShort, ...coldShort, ...warmers], SHORT_EVENTS);
  await makeHistories(service, requests, long, size.events);

  const warm = await alternate(service, requests, size.warmSamples, (sample) => ({
    short: warmShort[sample] ?? '',
    long: long[sample % long.length] ?? '',
  }));

  const cold: Timing[] = [];
  for (let restart = 0; restart < size.restarts; restart += 1) {
    await service.restartApi();
    await warmProcess(service, requests, size.warmUp, warmers.slice(restart * 100, (restart + 1) * 100));
    const timings = await alternate(service, requests, long.length, (sample) => ({
      short: coldShort[restart * long.length + sample] ?? '',
      long: long[sample] ?? '',
    }));
    cold.push(...timings);
  }
  return { longEvents: size.events, warm: costOf(warm), cold: costOf(cold) };
}

async function makeHistories(service: Service, requests: Requests, users: readonly string[], events: number): Promise<void> {
  let grants = 0;
  const granting = lanesFrom(() => {
    const user = users[grants++];
    return user === undefined ? undefined : requests.grant(user, 1_000_000);
  });
  mustBeFine(await runLoad(service.port, granting, 'until done'));
  const uses = users.length * (events - 2);
  let used = 0;
  const using = lanesFrom(() => (used < uses ? requests.use(users[used++ % users.length] ?? '') : undefined));
  mustBeFine(await runLoad(service.port, using, 'until done'));
}

/** A process that has just started is slow at everything: it does some work on other accounts first, warm and cold. */
async function warmProcess(service: Service, requests: Requests, warmUp: number, warmers: readonly string[]): Promise<void> {
  let next = 0;
  const lanes = lanesFrom(() => requests.use(`short-${(next += 1) % 64}`));
  mustBeFine(await runLoad(service.port, lanes, { warmUp: 0, measure: warmUp }));
  const connection = await openConnection(service.port, () => undefined);
  for (const user of warmers) await timed(connection, requests.use(user));
  connection.close();
}

type Timing = { readonly short: number; readonly long: number };

async function alternate(
  service: Service,
  requests: Requests,
  samples: number,
  usersOf: (sample: number) => { readonly short: string; readonly long: string },
): Promise<readonly Timing[]> {
  const connection = await openConnection(service.port, () => undefined);
  const timings: Timing[] = [];
  for (let sample = 0; sample < samples; sample += 1) {
    const { short, long } = usersOf(sample);
    timings.push({ short: await timed(connection, requests.use(short)), long: await timed(connection, requests.use(long)) });
  }
  connection.close();
  return timings;
}

async function timed(connection: Connection, request: string): Promise<number> {
  const sent = performance.now();
  const { status, text } = await new Promise<RawAnswer>((resolve) => connection.send(request, resolve));
  if (status >= 300) throw new Error(`refused:\n${text}`);
  return performance.now() - sent;
}

function costOf(timings: readonly Timing[]): Cost {
  const short = timings.map((timing) => timing.short);
  const long = timings.map((timing) => timing.long);
  return { short: median(short), long: median(long), meanShort: mean(short), meanLong: mean(long), samples: timings.length };
}
