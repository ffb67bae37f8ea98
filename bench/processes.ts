import { parseArgs } from 'node:util';
import { CONNECTIONS, lanesFrom, type Load, runLoad } from './ledger/load.ts';
import { loadBefore } from './ledger/machine.ts';
import { createRequests, type Requests } from './ledger/requests.ts';
import { grantAccounts, mustBeFine } from './ledger/scenarios.ts';
import { startService } from './service.ts';

/*
 * How commands a second grow from one API process to two on one log, workers keeping up, with the queue on Postgres and
 * on Redis (where there is a REDIS_URL): `npm run bench:processes`. Load, API, worker and servers share the machine, so
 * two processes can only take what one of them left of it.
 */

const ACCOUNTS = 10_000;

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '8' }, rounds: { type: 'string', default: '3' } },
});
const redisUrl = process.env['REDIS_URL'];
process.stderr.write(`load before: ${loadBefore()}\n`);
await measure('Postgres', {});
if (redisUrl === undefined) process.stderr.write('no REDIS_URL: the queue on Redis is not measured\n');
else await measure('Redis', { REDIS_URL: redisUrl, REDIS_PREFIX: `bench-${process.pid}` });

async function measure(queue: string, env: Readonly<Record<string, string>>): Promise<void> {
  const service = await startService({ env });
  try {
    const requests = createRequests(service.serviceKey);
    await grantAccounts({ service, requests, accounts: ACCOUNTS, warmUp: 0, measure: 0 });
    service.startWorker();
    const ports = [service.port, await service.addApi()];
    const ratios: number[] = [];
    // By turns, since the machine is never quite the same.
    for (let round = 0; round < Number(values.rounds); round += 1) {
      const [one, two] = [await load(requests, ports.slice(0, 1)), await load(requests, ports)];
      ratios.push(two / one);
      console.log(`queue on ${queue}: one API process ${Math.round(one)}/s, two ${Math.round(two)}/s`);
    }
    console.log(
      `queue on ${queue}: two do ${(ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)] ?? 0).toFixed(2)}× of one`,
    );
  } finally {
    await service.stop();
  }
}

/** Commands a second over all ports together, the connections divided among them. */
async function load(requests: Requests, ports: readonly number[]): Promise<number> {
  const duration = { warmUp: 1_500, measure: Number(values.seconds) * 1_000 };
  const lanes = () => lanesFrom(() => requests.use(`user-${Math.floor(Math.random() * ACCOUNTS)}`), CONNECTIONS / ports.length);
  const loads: readonly Load[] = await Promise.all(ports.map((port) => runLoad(port, lanes(), duration)));
  for (const one of loads) mustBeFine(one);
  return loads.reduce((sum, { perSecond }) => sum + perSecond, 0);
}
