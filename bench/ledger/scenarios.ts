import type { Service } from '../service.ts';
import { CONNECTIONS, type Lane, lanesFrom, type Load, runLoad } from './load.ts';
import { monotonicMicros } from './profile.ts';
import { readUsage, type Usage, usageBetween, type Watched } from './processors.ts';
import type { Kind, Reference } from './reference.ts';
import { type Requests, reservationIdOf } from './requests.ts';
import { lagAfter } from './lag.ts';

/** What commands are measured, and which reference they are held against. */
export const SCENARIOS = ['use', 'reserve+commit', 'hot'] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** One measurement: a scenario with the workers keeping up in their process, or stopped. */
export type Result = {
  readonly scenario: Scenario;
  readonly workers: boolean;
  readonly load: Load;
  /** Calls a second of the reference, the mean of before and after. */
  readonly reference: number;
  /** How long the history took to show everything after the end, in ms; undefined without workers. */
  readonly lag: number | undefined;
  /** Processor seconds a second. */
  readonly usage: Usage;
};

export type Measuring = {
  readonly service: Service;
  readonly requests: Requests;
  readonly accounts: number;
  /** In ms. */
  readonly warmUp: number;
  readonly measure: number;
};

/** What the service is measured beside. */
export type Beside = { readonly reference: Reference; readonly postmasterPid: number };

const HOT = 'hot';
const CREDITS = 1_000_000;

const userOf = (index: number): string => `user-${index}`;

/** Gives every account more credits than will be used. */
export async function grantAccounts({ service, requests, accounts }: Measuring): Promise<void> {
  let next = 0;
  const lanes = lanesFrom(() => {
    next += 1;
    if (next > accounts + 1) return undefined;
    return requests.grant(next > accounts ? HOT : userOf(next - 1), CREDITS);
  });
  mustBeFine(await runLoad(service.port, lanes, 'until done'));
}

/** Measures scenarios one after the other, with the reference before and after each: the machine is never quite the same. */
export async function measureScenarios(
  measuring: Measuring & Beside,
  wanted: readonly Scenario[],
  workers: boolean,
): Promise<readonly Result[]> {
  const { service, reference } = measuring;
  const results: Result[] = [];
  if (workers) service.startWorker();
  else await service.stopWorker();
  for (const scenario of wanted) {
    const kind: Kind = scenario === 'hot' ? 'hot' : 'spread';
    // What was left to do is done before the measurement.
    if (workers)
      await lagAfter(await runLoad(service.port, lanesOf(scenario, measuring), { warmUp: 100, measure: 200 }), measuring);
    const before = await reference.measure(kind);
    const watched: Watched = { ...service, postmasterPid: measuring.postmasterPid };
    await runLoad(service.port, lanesOf(scenario, measuring), { warmUp: 0, measure: measuring.warmUp });
    const usageBefore = readUsage(watched);
    const load = await runLoad(service.port, lanesOf(scenario, measuring), { warmUp: 0, measure: measuring.measure });
    const usage = usageBetween(usageBefore, readUsage(watched), load.seconds);
    const lag = workers ? await lagAfter(load, measuring) : undefined;
    const after = await reference.measure(kind);
    results.push({ scenario, workers, load, reference: (before + after) / 2, lag, usage });
  }
  return results;
}

/** Runs a scenario without workers on an API that is profiled: which window of the profile counts, in µs. */
export async function profileScenario(
  measuring: Measuring,
  scenario: Scenario,
): Promise<{ readonly from: number; readonly to: number }> {
  const { service, warmUp, measure } = measuring;
  await runLoad(service.port, lanesOf(scenario, measuring), { warmUp: 0, measure: warmUp });
  const from = monotonicMicros();
  await runLoad(service.port, lanesOf(scenario, measuring), { warmUp: 0, measure });
  return { from, to: monotonicMicros() };
}

function lanesOf(scenario: Scenario, { requests, accounts }: Measuring): readonly Lane[] {
  const anyone = (): string => userOf(Math.floor(Math.random() * accounts));
  switch (scenario) {
    case 'use':
      return lanesFrom(() => requests.use(anyone()));
    case 'hot':
      return lanesFrom(() => requests.use(HOT));
    case 'reserve+commit':
      return Array.from({ length: CONNECTIONS }, () => reserveAndCommit(requests, anyone));
    default:
      return scenario satisfies never;
  }
}

/** Reserves, then commits what was reserved. */
function reserveAndCommit(requests: Requests, anyone: () => string): Lane {
  let reservation: string | undefined;
  return {
    next: () => (reservation === undefined ? requests.reserve(anyone()) : requests.commit(reservation)),
    onAnswer(answer) {
      // A commit's answer names no reservation: the next request reserves again.
      reservation = answer.status < 300 ? reservationIdOf(answer) : undefined;
    },
  };
}

export function mustBeFine(load: Load): void {
  if (load.failed.size === 0) return;
  const [refused] = load.last.filter(({ status }) => status >= 300);
  throw new Error(`refused: ${JSON.stringify([...load.failed])} ${refused?.text ?? ''}`);
}
