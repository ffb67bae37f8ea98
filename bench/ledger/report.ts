import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { FeatureCost } from './features.ts';
import type { HistoryCost } from './history.ts';
import { median } from './latencies.ts';
import type { Memory } from './memory.ts';
import type { Share } from './profile.ts';
import type { ReadModelCost } from './read-models.ts';
import type { Reference } from './reference.ts';
import type { Result } from './scenarios.ts';

/** What features cost, on both sides. */
export type Features = { readonly commands: readonly FeatureCost[]; readonly readModels: readonly ReadModelCost[] };

/** Everything that one run measured. */
export type Report = {
  readonly machine: Readonly<Record<string, string>>;
  /** Of the reference. */
  readonly connections: Reference['best'] | undefined;
  readonly accounts: number;
  /** How often each scenario was measured in turn with the reference, and for how many seconds each time. */
  readonly turns: number;
  readonly seconds: number;
  readonly results: readonly Result[];
  readonly history: HistoryCost | undefined;
  readonly memory: Memory | undefined;
  readonly features: Features | undefined;
  readonly profiles: Readonly<Record<string, readonly Share[]>>;
};

const BEGIN = '<!-- results: written by npm run bench -->';
const END = '<!-- end of results -->';

/** The least that is asked for, and what is aimed at, as multiples of the reference. */
function targetsOf({ scenario, workers }: Pick<Result, 'scenario' | 'workers'>): {
  readonly must: number;
  readonly goal: number;
} {
  if (scenario === 'hot') return { must: 1, goal: 6 };
  return workers ? { must: 0.5, goal: 1 } : { must: 0.8, goal: 1.3 };
}

/** The report as Markdown, for the terminal and for the page. */
export function renderReport(report: Report): string {
  const parts = [renderMachine(report), renderResults(report.results)];
  if (report.history !== undefined) parts.push(renderHistory(report.history));
  if (report.memory !== undefined) parts.push(renderMemory(report.memory));
  if (report.features !== undefined) parts.push(renderFeatures(report.features));
  for (const [what, shares] of Object.entries(report.profiles)) parts.push(renderProfile(what, shares));
  return parts.filter((part) => part !== '').join('\n\n');
}

/** Puts the report into a page: in place of the one before where there is one, else on a new page. */
export function writeReport(path: string, text: string): void {
  const block = `${BEGIN}\n\n${text}\n\n${END}`;
  const page = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin === -1 || end === -1) writeFileSync(path, `${page === '' ? '# Performance' : page.trimEnd()}\n\n${block}\n`);
  else writeFileSync(path, `${page.slice(0, begin)}${block}${page.slice(end + END.length)}`);
}

function renderMachine({ machine, connections, accounts, turns, seconds }: Report): string {
  const reference =
    connections === undefined
      ? 'not measured'
      : `R3 at ${connections.spread} connections over ${whole(accounts)} accounts, at ${connections.hot} on one (the best of 8, 16, 32)`;
  const ledger = `HTTP, 64 connections, one command a request, ${turns} × ${seconds} s in turns with the reference; load, API, worker and Postgres share the machine`;
  return table(['', ''], Object.entries({ ...machine, reference, ledger }));
}

function renderResults(results: readonly Result[]): string {
  if (results.length === 0) return '';
  const rows = results.map((result) => {
    const { scenario, workers, load, reference, ratios, lag, usage } = result;
    const { must, goal } = targetsOf(result);
    const ratio = median(ratios);
    const others = usage.all - usage.api - usage.worker - usage.postgres - usage.load;
    const missed =
      load.failed.size > 0 ? ` (refused: ${[...load.failed].map(([status, count]) => `${count} × ${status}`).join(', ')})` : '';
    return [
      scenario,
      workers ? 'keeping up' : 'stopped',
      `${whole(load.perSecond)}${missed}`,
      whole(reference),
      `${ratio.toFixed(2)}× (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
      `${must}× ${met(ratio >= must)}`,
      `${goal}× ${met(ratio >= goal)}`,
      `${load.latencies.quantile(0.5).toFixed(1)} ms`,
      `${load.latencies.quantile(0.99).toFixed(1)} ms`,
      lag === undefined ? '' : `${whole(lag)} ms ${met(lag <= 1_000)}`,
      [usage.api, usage.worker, usage.postgres, usage.load, others].map((share) => whole(Math.max(share, 0) * 100)).join(' / '),
    ];
  });
  const heads = [
    'commands',
    'workers',
    'a second',
    'R3',
    'ratio',
    'must',
    'goal',
    'p50',
    'p99',
    'history behind',
    'processor %: API / worker / Postgres / load / others',
  ];
  return table(heads, rows);
}

function renderHistory({ longEvents, warm, cold }: HistoryCost): string {
  const row = (name: string, cost: HistoryCost['warm'], must: number, goal: string): readonly string[] => {
    const ratio = cost.long / cost.short;
    return [
      name,
      `${cost.short.toFixed(2)} ms`,
      `${cost.long.toFixed(2)} ms`,
      `${ratio.toFixed(2)}×`,
      `≤ ${must}× ${met(ratio <= must)}`,
      goal === '' ? '' : `≤ ${goal}× ${met(ratio <= Number(goal))}`,
      `${cost.meanShort.toFixed(2)} ms, ${cost.meanLong.toFixed(2)} ms`,
      String(cost.samples),
    ];
  };
  const heads = [
    'one at a time',
    '10 events',
    `${longEvents.toLocaleString('en')} events`,
    'ratio',
    'must',
    'goal',
    'means',
    'samples',
  ];
  return table(heads, [row('warm (median)', warm, 1.2, '1.05'), row('cold (median)', cold, 2, '')]);
}

function renderMemory({ commands, accounts, load, resident }: Memory): string {
  const known = resident !== undefined;
  const heads = ['commands', 'accounts', 'resident', 'at most', 'must', 'a second', 'p50', 'p99'];
  const row = [
    commands.toLocaleString('en'),
    accounts.toLocaleString('en'),
    known ? `${whole(resident.now)} MiB` : 'not known',
    known ? `${whole(resident.peak)} MiB` : 'not known',
    known ? `≤ 512 MiB ${met(resident.now <= 512)}` : '',
    whole(load.perSecond),
    `${load.latencies.quantile(0.5).toFixed(1)} ms`,
    `${load.latencies.quantile(0.99).toFixed(1)} ms`,
  ];
  return table(heads, [row]);
}

function renderFeatures({ commands, readModels }: Features): string {
  const rows = commands.map(({ name, api, postgres, ratio, perSecond }) => [
    name,
    `${whole(api)} µs`,
    `${whole(postgres)} µs`,
    `${ratio.toFixed(2)}×`,
    whole(perSecond),
  ]);
  const sum = readModels.reduce((all, { micros }) => all + micros, 0);
  const models = readModels.map(({ name, micros }) => [
    name,
    `${micros.toFixed(1)} µs`,
    `${((micros / sum) * 100).toFixed(0)} %`,
  ]);
  return [
    table(['what a command costs, workers stopped', 'API', 'Postgres', 'both, to the first', 'a second'], rows),
    `What an event costs when read models are filled from the log (${sum.toFixed(0)} µs):`,
    table(['for', 'an event', 'share'], models),
  ].join('\n\n');
}

function renderProfile(what: string, shares: readonly Share[]): string {
  const rows = shares.map(({ place, share }) => [place, `${(share * 100).toFixed(1)} %`]);
  return `Where the API's processor time goes (${what}, workers stopped):\n\n${table(['place', 'share'], rows)}`;
}

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}

function met(yes: boolean): string {
  return yes ? '✓' : '✗';
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}
