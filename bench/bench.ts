import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureFeatures } from './ledger/features.ts';
import { measureHistory } from './ledger/history.ts';
import { describeMachine, loadBefore } from './ledger/machine.ts';
import { measureMemory } from './ledger/memory.ts';
import { postmasterPidOf } from './ledger/processors.ts';
import { createProfiles, type Share } from './ledger/profile.ts';
import { measureReadModels } from './ledger/read-models.ts';
import { createReference } from './ledger/reference.ts';
import { type Features, type Report, renderReport, writeReport } from './ledger/report.ts';
import { createRequests } from './ledger/requests.ts';
import { grantAccounts, type Measuring, measureScenarios, profileScenario, SCENARIOS } from './ledger/scenarios.ts';
import { DATABASE, startService } from './service.ts';

/*
 * Measures the ledger against a stored procedure in the same Postgres, in one run on one machine, as ratios. A whole
 * run takes about ten minutes and writes docs/performance.md; --quick and --only print only, unless --write is given.
 */

const PAGE = join(import.meta.dirname, '..', 'docs', 'performance.md');
const PARTS = [...SCENARIOS, 'history', 'memory', 'features', 'profile'] as const;

const FULL = {
  warmUp: 5_000,
  measure: 4_000,
  reference: 2_000,
  turns: 7,
  accounts: 10_000,
  history: { events: 100_000, longAccounts: 5, warmSamples: 1_000, restarts: 8, warmUp: 2_000 },
  memory: { commands: 1_000_000, accounts: 100_000 },
  features: { measure: 2_000, turns: 7 },
};

const QUICK: typeof FULL = {
  warmUp: 2_500,
  measure: 2_000,
  reference: 1_000,
  turns: 5,
  accounts: 10_000,
  history: { events: 10_000, longAccounts: 4, warmSamples: 300, restarts: 4, warmUp: 1_000 },
  memory: { commands: 60_000, accounts: 6_000 },
  features: { measure: 1_000, turns: 3 },
};

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: PARTS.join(',') },
    write: { type: 'boolean', default: false },
  },
});
const wanted = new Set(values.only.split(',').map((name) => name.trim()));
const unknown = [...wanted].filter((name) => !PARTS.some((part) => part === name));
if (unknown.length > 0) throw new Error(`--only takes ${PARTS.join(', ')}; not ${unknown.join(', ')}`);

const report = await main(values.quick ? QUICK : FULL);
const text = renderReport(report);
console.log(`\n${text}`);
if (values.write || (!values.quick && wanted.size === PARTS.length)) writeReport(PAGE, text);

async function main(size: typeof FULL): Promise<Report> {
  const load = loadBefore();
  const service = await startService();
  try {
    const requests = createRequests(service.serviceKey);
    const url = await service.database('reference');
    const { connections, results } = await scenarios({ service, requests, ...size }, url, size);
    const history = wanted.has('history')
      ? await said('history', () => measureHistory(service, requests, size.history))
      : undefined;
    const memory = wanted.has('memory') ? await said('memory', () => measureMemory(service, requests, size.memory)) : undefined;
    const machine = { ...(await describeMachine(url)), load };
    await service.stop();
    const features = wanted.has('features') ? await said('features', () => measureCosts(size)) : undefined;
    const profiles = wanted.has('profile') ? await said('profile', () => profile(size)) : {};
    return {
      machine,
      connections,
      accounts: size.accounts,
      turns: size.turns,
      seconds: size.measure / 1_000,
      results,
      history,
      memory,
      features,
      profiles,
    };
  } catch (error) {
    await service.stop();
    throw error;
  }
}

/** What features cost the write side, and each read model the read side: on a service of its own, whose log they fill. */
async function measureCosts({ features }: typeof FULL): Promise<Features> {
  const service = await startService();
  try {
    const requests = createRequests(service.serviceKey);
    const postmasterPid = await postmasterPidOf(await service.database('postgres'));
    const commands = await measureFeatures({ service, requests, postmasterPid }, features);
    return { commands, readModels: await measureReadModels(await service.database(DATABASE)) };
  } finally {
    await service.stop();
  }
}

/** A profile slows what it looks at, so it has a service of its own. */
async function profile({ warmUp, measure, accounts }: typeof FULL): Promise<Readonly<Record<string, readonly Share[]>>> {
  const profiles = createProfiles();
  const service = await startService({ profiles: profiles.folder });
  try {
    const measuring = { service, requests: createRequests(service.serviceKey), accounts, warmUp, measure };
    await grantAccounts(measuring);
    const { from, to } = await profileScenario(measuring, 'use');
    await service.stop();
    return { use: profiles.read(from, to) };
  } finally {
    await service.stop();
    profiles.remove();
  }
}

async function scenarios(
  measuring: Measuring,
  url: string,
  { reference: referenceFor, turns }: typeof FULL,
): Promise<Pick<Report, 'connections' | 'results'>> {
  const chosen = SCENARIOS.filter((scenario) => wanted.has(scenario));
  if (chosen.length === 0) return { connections: undefined, results: [] };
  const reference = await said('reference', () => createReference(url, measuring.accounts, referenceFor));
  await said('granting', () => grantAccounts(measuring));
  const both = { ...measuring, reference, turns, postmasterPid: await postmasterPidOf(url) };
  const withWorkers = await said('with the workers', () => measureScenarios(both, chosen, true));
  const without = await said('without the workers', () => measureScenarios(both, chosen, false));
  await reference.close();
  return { connections: reference.best, results: [...withWorkers, ...without] };
}

function said<T>(what: string, work: () => Promise<T>): Promise<T> {
  say(what);
  return work();
}

/** Progress goes to standard error, so that the report alone is on standard output. */
function say(what: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
}
