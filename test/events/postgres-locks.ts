import type pg from 'pg';
import { vi } from 'vitest';

/** The lock under which positions are given (migrations/0001-log.sql). */
const POSITION_LOCK = 7041851;

/** Holds the log's position lock, so that no append can end. Returns what gives it back. */
export async function holdPositions(superuser: pg.Client): Promise<() => Promise<void>> {
  await superuser.query('select pg_advisory_lock($1)', [POSITION_LOCK]);
  return async () => void (await superuser.query('select pg_advisory_unlock($1)', [POSITION_LOCK]));
}

/** Holds the head row of a stream, so that no append to it can begin. Returns what gives it back. */
export async function holdHead(superuser: pg.Client, stream: string): Promise<() => Promise<void>> {
  await superuser.query('begin');
  await superuser.query('select from ledger.streams where name = $1 for update', [stream]);
  return async () => void (await superuser.query('rollback'));
}

/** Waits until so many connections of a test store wait for a lock. Returns their process ids. */
export function untilStuck(observer: pg.Client, name: string, count = 1): Promise<readonly number[]> {
  return vi.waitFor(
    async () => {
      const { rows } = await observer.query<{ pid: number }>(
        `select pid from pg_stat_activity
         where datname = current_database() and application_name = $1 and wait_event_type = 'Lock'`,
        [`mana-credits ${name}`],
      );
      if (rows.length < count) throw new Error(`${rows.length} connections of ${name} wait for a lock`);
      return rows.map(({ pid }) => pid);
    },
    { timeout: 4_000, interval: 10 },
  );
}

/** Ends connections whose name begins so, and returns how many there were. */
export async function terminate(superuser: pg.Client, name: string): Promise<number> {
  const { rowCount } = await superuser.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like $1`,
    [`mana-credits ${name}%`],
  );
  return rowCount ?? 0;
}
