import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import pg from 'pg';
import { mean } from './latencies.ts';

/** Clock ticks a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Who took processor time, in seconds since they started: 0 where the system doesn't say (it is Linux that does). */
export type Usage = {
  readonly api: number;
  readonly worker: number;
  readonly postgres: number;
  /** This process: the load. */
  readonly load: number;
  /** Everybody, others on the machine included. */
  readonly all: number;
};

export type Watched = {
  readonly apiPid: () => number;
  readonly workerPid: () => number | undefined;
  readonly postmasterPid: number;
};

export function readUsage({ apiPid, workerPid, postmasterPid }: Watched): Usage {
  const worker = workerPid();
  const { user, system } = process.cpuUsage();
  const times = cpus().map((cpu) => cpu.times);
  return {
    api: secondsOf(apiPid()).taken,
    worker: worker === undefined ? 0 : secondsOf(worker).taken,
    postgres: postgresSeconds(postmasterPid),
    load: (user + system) / 1e6,
    all: times.reduce((sum, time) => sum + time.user + time.nice + time.sys + time.irq, 0) / 1_000,
  };
}

/** What was taken between two readings, a second. */
export function usageBetween(before: Usage, after: Usage, seconds: number): Usage {
  const rate = (who: keyof Usage): number => (after[who] - before[who]) / seconds;
  return { api: rate('api'), worker: rate('worker'), postgres: rate('postgres'), load: rate('load'), all: rate('all') };
}

/** The mean of several. */
export function meanUsage(usages: readonly Usage[]): Usage {
  const meanOf = (who: keyof Usage): number => mean(usages.map((usage) => usage[who]));
  return { api: meanOf('api'), worker: meanOf('worker'), postgres: meanOf('postgres'), load: meanOf('load'), all: meanOf('all') };
}

/** The process that Postgres' others were started by. */
export async function postmasterPidOf(databaseUrl: string): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  const { parent } = secondsOf(rows[0]?.pid ?? 0);
  await client.end();
  return parent;
}

function postgresSeconds(postmasterPid: number): number {
  const pids = processIds();
  const readings = pids.map(secondsOf).filter(({ parent }) => parent === postmasterPid && postmasterPid !== 0);
  return readings.reduce((sum, { taken }) => sum + taken, 0);
}

function processIds(): readonly number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
}

function secondsOf(pid: number): { readonly parent: number; readonly taken: number } {
  try {
    // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: ppid is field 4, utime and stime are 14 and 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { parent: Number(fields[1]), taken: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND };
  } catch {
    return { parent: 0, taken: 0 };
  }
}
