import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { loadBefore } from './ledger/machine.ts';
import { CONNECTIONS, lanesFrom, type Load, runLoad } from './ledger/load.ts';
import { createRequests, type Requests } from './ledger/requests.ts';
import { grantAccounts, mustBeFine } from './ledger/scenarios.ts';
import { type Service, startService } from './service.ts';

/*
 * Commands a second over HTTP on KurrentDB, as a share of single-event appends by the bare client at the same
 * concurrency in the same run: `EVENTSTORE_URL=esdb://… npm run bench:kurrent`. Everything shares the machine.
 */

const ROOT = join(import.meta.dirname, '..');
const ACCOUNTS = 10_000;
const MUST = 0.8;
const GOAL = 1;

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '8' }, rounds: { type: 'string', default: '3' } },
});
const url = process.env['EVENTSTORE_URL'];
if (url === undefined) throw new Error('EVENTSTORE_URL is not set: it names the server to measure on');
await main(url, Number(values.seconds) * 1_000, Number(values.rounds));

async function main(server: string, milliseconds: number, rounds: number): Promise<void> {
  const prefix = `bench-${process.pid}-${Date.now()}.`;
  process.stderr.write(`load before: ${loadBefore()}\n`);
  const service = await startService({ env: { EVENTSTORE_URL: server, EVENTSTORE_PREFIX: prefix } });
  try {
    const requests = createRequests(service.serviceKey);
    await grantAccounts({ service, requests, accounts: ACCOUNTS, warmUp: 0, measure: 0 });
    const rows: Row[] = [];
    for (const workers of [false, true]) {
      if (workers) service.startWorker();
      for (let round = 0; round < rounds; round += 1)
        rows.push(await measure({ server, prefix, service, requests, milliseconds, workers }));
    }
    for (const workers of [false, true])
      print(
        rows.filter((row) => row.workers === workers),
        workers,
      );
  } finally {
    await service.stop();
  }
}

type Row = { readonly workers: boolean; readonly load: Load; readonly bare: number };

type Measuring = {
  readonly server: string;
  readonly prefix: string;
  readonly service: Service;
  readonly requests: Requests;
  readonly milliseconds: number;
  readonly workers: boolean;
};

/** The ledger between two measurements of the bare client: the machine is never quite the same. */
async function measure({ server, prefix, service, requests, milliseconds, workers }: Measuring): Promise<Row> {
  const before = await bareClient(server, prefix, milliseconds / 2);
  const lanes = lanesFrom(() => requests.use(`user-${Math.floor(Math.random() * ACCOUNTS)}`));
  const load = await runLoad(service.port, lanes, { warmUp: 1_500, measure: milliseconds });
  mustBeFine(load);
  const after = await bareClient(server, prefix, milliseconds / 2);
  return { workers, load, bare: (before + after) / 2 };
}

async function bareClient(server: string, prefix: string, milliseconds: number): Promise<number> {
  const asked = [server, prefix, String(CONNECTIONS), String(ACCOUNTS), String(milliseconds)];
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--import', 'tsx', 'bench/kurrent/bare-client.ts', ...asked], { cwd: ROOT });
  return (JSON.parse(stdout) as { perSecond: number }).perSecond;
}

function print(rows: readonly Row[], workers: boolean): void {
  const ratios = rows.map(({ load, bare }) => load.perSecond / bare).toSorted((a, b) => a - b);
  for (const { load, bare } of rows) {
    const figures = `${Math.round(load.perSecond)}/s (p50 ${load.latencies.quantile(0.5).toFixed(1)} ms, p99 ${load.latencies.quantile(0.99).toFixed(1)} ms)`;
    console.log(`use, workers ${workers ? 'keeping up' : 'stopped'}: ${figures}, bare client ${Math.round(bare)}/s`);
  }
  const median = ratios[Math.floor(ratios.length / 2)] ?? 0;
  console.log(`ratio ${median.toFixed(2)}× (must ${MUST}×, goal ${GOAL}×)`);
}
