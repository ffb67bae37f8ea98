import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Presets, SingleBar } from 'cli-progress';
import { differencesOf, lagOf } from './replay/check.ts';
import { type Client, createClient } from './replay/client.ts';
import { toCredits } from './replay/credits.ts';
import { type Driving, driveAll, grantAll, type Run } from './replay/drive.ts';
import { expectedOf } from './replay/expected.ts';
import { makePlan, type User } from './replay/plan.ts';
import { readTrace } from './replay/trace.ts';
import { startService } from './service.ts';

/*
 * Drives the ledger with an hour of two AI services, then checks every balance against a plain sum. Exits 1 where
 * anything differs. Starts a service of its own, or uses the one under --url with --key.
 */

const HELP = `npm run replay -- [--rows N] [--concurrency N] [--url http://… --key <service key>]`;
const DIFFERENCES_SHOWN = 20;

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    concurrency: { type: 'string', default: '64' },
    url: { type: 'string' },
    key: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) console.log(HELP);
else process.exitCode = await main(wholeNumber('rows', values.rows), wholeNumber('concurrency', values.concurrency));

async function main(rows: number, concurrency: number): Promise<number> {
  const users = makePlan(readTrace().slice(0, rows));
  if (values.url !== undefined) return replay(new URL(values.url), values.key, users, concurrency);
  const service = await startService();
  try {
    service.startWorker();
    return await replay(new URL(`http://127.0.0.1:${service.port}`), service.serviceKey, users, concurrency);
  } finally {
    await service.stop();
  }
}

/** Runs the plan under names that no other run has, so that it may be repeated on one ledger. */
async function replay(base: URL, serviceKey: string, users: readonly User[], concurrency: number): Promise<number> {
  const client: Client = createClient(base, serviceKey, concurrency);
  const runName = randomBytes(4).toString('hex');
  const total = users.reduce((sum, { requests }) => sum + requests.length, 0);
  const bar = new SingleBar(
    { format: '{bar} {percentage}% | {value} of {total} requests | {duration_formatted}' },
    Presets.shades_classic,
  );
  const driving: Driving = {
    client,
    concurrency,
    nameOf: ({ rank }) => `replay-${runName}-${rank}`,
    onRequest: () => bar.increment(),
  };
  try {
    console.log(`${total} requests of ${users.length} users, ${concurrency} users at once`);
    await grantAll(users, driving);
    bar.start(total, 0);
    const run = await driveAll(users, driving).finally(() => bar.stop());
    const lag = await lagOf(run, users, driving);
    printTable(run, lag);
    const differences = await differencesOf(run, users, expectedOf(users), driving);
    return report(differences, users.length);
  } finally {
    client.close();
  }
}

function printTable({ totals, latencies, seconds }: Run, lag: number): void {
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    `${(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toFixed(1)} ms`;
  console.table({
    requests: totals.requests,
    refused: totals.refused,
    'given up (released)': totals.released,
    'credits held': toCredits(totals.held),
    'credits used': toCredits(totals.used),
    'credits released': toCredits(totals.returned),
    commands: latencies.length,
    'commands per second': Math.round(latencies.length / seconds),
    p50: at(0.5),
    p99: at(0.99),
    'projection lag': `${lag.toFixed(0)} ms`,
  });
}

function report(differences: readonly string[], users: number): number {
  if (differences.length === 0) {
    console.log(`Every balance of ${users} users is what the trace says, and no hold is left.`);
    return 0;
  }
  console.error(`${differences.length} differences:`);
  for (const difference of differences.slice(0, DIFFERENCES_SHOWN)) console.error(`  ${difference}`);
  return 1;
}

function wholeNumber(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error(`--${name} must be a whole number above 0`);
  return Number(text);
}
