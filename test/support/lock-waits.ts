import type pg from 'pg';

/**
 * How many connections to a database wait for a lock, those with a query like one of some patterns. It looks anew each
 * time: within a transaction, as of one that holds the lock, Postgres goes on showing what it showed first.
 */
export async function lockWaits(client: pg.Client, ...patterns: readonly string[]): Promise<number> {
  await client.query('select pg_stat_clear_snapshot()');
  const { rowCount } = await client.query(
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like any ($1)`,
    [patterns.length === 0 ? ['%'] : patterns],
  );
  return rowCount ?? 0;
}
