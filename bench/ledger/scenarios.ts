import type { Service } from '../service.ts';
import { median } from './latencies.ts';
import { CONNECTIONS, type Lane, lanesFrom, type Load, runLoad, together } from './load.ts';
import { monotonicMicros } from './profile.ts';
import { meanUsage, readUsage, type Usage, usageBetween, type Watched } from './processors.ts';
import type { Reference } from './reference.ts';
import { type Requests, reservationIdOf } from './requests.ts';
import { lagAfter } from './lag.ts';

/** What commands are measured, and which reference they are held against. */
export const SCENARIOS = ['use', 'reserve+commit', 'hot'] as const;
export type Scenario = (typeof SCENARIOS)[number];

/** One measurement, in turns with the reference: a scenario with the workers keeping up in their process, or stopped. */
export type Result = {
  readonly scenario: Scenario;
  readonly workers: boolean;
  readonly load: Load;
  /** Calls a second of the reference, the middle one of the turns. */
  readonly reference: number;
  /** Commands a second to the reference's calls, for each turn. */
  readonly ratios: readonly number[];
  /** How long the history took to show everything after the end of a turn, in ms, at the most; undefined without workers. */
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

/** What the service is measured beside, and in how many turns. */
export type Beside = { readonly reference: Reference; readonly postmasterPid: number; readonly turns: number };

const HOT = 'hot';
const CREDITS = 1_000_000;
/** In ms: how long a turn goes on before it counts. */
const LEAD = 600;

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

/**
 * Measures scenarios one after the other, each in short turns with the reference: the machine is never the same for long,
 * and what slows both for some seconds must not count for one alone.
 */
export async function measureScenarios(
  measuring: Measuring & Beside,
  wanted: readonly Scenario[],
  workers: boolean,
): Promise<readonly Result[]> {
  const { service } = measuring;
  if (workers) service.startWorker();
  else await service.stopWorker();
  const results: Result[] = [];
  for (const scenario of wanted) {
    // What was left to do is done before the first turn.
    const warm = await runLoad(service.port, lanesOf(scenario, measuring), { warmUp: 0, measure: measuring.warmUp });
    if (workers) await lagAfter(warm, measuring);
    const turns: Turn[] = [];
    for (let turn = 0; turn < measuring.turns; turn += 1) turns.push(await measureTurn(measuring, scenario, workers));
    const load = together(turns.map((turn) => turn.load));
    const reference = median(turns.map((turn) => turn.reference));
    const ratios = turns.map((turn) => turn.load.perSecond / turn.reference);
    const lag = workers ? Math.max(...turns.map((turn) => turn.lag)) : undefined;
    results.push({ scenario, workers, load, reference, ratios, lag, usage: meanUsage(turns.map((turn) => turn.usage)) });
  }
  return results;
}

type Turn = { readonly load: Load; readonly reference: number; readonly lag: number; readonly usage: Usage };

async function measureTurn(measuring: Measuring & Beside, scenario: Scenario, workers: boolean): Promise<Turn> {
  const { service, measure, postmasterPid } = measuring;
  const reference = await measuring.reference.measure(scenario === 'hot' ? 'hot' : 'spread');
  const watched: Watched = { ...service, postmasterPid };
  // What the workers do of it later than the end, they did of this before the beginning.
  await runLoad(service.port, lanesOf(scenario, measuring), { warmUp: 0, measure: LEAD });
  const before = readUsage(watched);
  const load = await runLoad(service.port, lanesOf(scenario, measuring), { warmUp: 0, measure });
  const usage = usageBetween(before, readUsage(watched), load.seconds);
  return { load, reference, usage, lag: workers ? await lagAfter(load, measuring) : 0 };
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
