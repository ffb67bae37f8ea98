import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem, type as osType } from 'node:os';
import pg from 'pg';

/** How busy the machine was with other things, before a run: a measurement beside other work says little. */
export function loadBefore(): string {
  const [minute = 0] = loadavg();
  return `${minute.toFixed(2)} on average in the minute before the run${minute > 0.5 ? ' (busy: not to be relied on)' : ''}`;
}

/** What was measured on, by name. */
export async function describeMachine(databaseUrl: string): Promise<Readonly<Record<string, string>>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  const show = async (setting: string): Promise<string> => {
    const { rows } = await client.query<{ value: string }>('select current_setting($1) as value', [setting]);
    return rows[0]?.value ?? '';
  };
  const machine = {
    processor: `${cpus()[0]?.model ?? 'unknown'}, ${availableParallelism()} cores`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    // The version alone: what follows names the machine's maker.
    system: `${osType()} ${release().split('-')[0]}`,
    node: process.version,
    Postgres: `${await show('server_version')}, embedded, on the same machine`,
    durability: `fsync ${await show('fsync')}, synchronous_commit ${await show('synchronous_commit')}`,
  };
  await client.end();
  return machine;
}

/** The memory that a process has in use, and has had at most, in MiB; undefined where the system doesn't say. */
export function residentMiB(pid: number): { readonly now: number; readonly peak: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const read = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1_024;
    return { now: read('VmRSS'), peak: read('VmHWM') };
  } catch {
    return undefined;
  }
}
