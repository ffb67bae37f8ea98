import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { Latencies } from './latencies.ts';

/*
 * R3, what the ledger is held against: a stored procedure in the same Postgres that does what a ledger without a
 * history to prove would do for a command: a guarded balance update, an event row, a unique key. Called by pg without
 * HTTP in between, at the number of connections that suits it best.
 */

const SCHEMA = `
  create schema r3;
  create table r3.accounts (id int primary key, balance bigint not null check (balance >= 0)) with (fillfactor = 50);
  create table r3.events (
    id bigint generated always as identity primary key,
    account int not null, amount bigint not null, balance bigint not null, key text not null,
    at timestamptz not null default now(),
    unique (account, key)
  );
  create function r3.consume(p_account int, p_amount bigint, p_key text) returns bigint language plpgsql as $$
  declare
    v_balance bigint;
  begin
    update r3.accounts set balance = balance - p_amount where id = p_account and balance >= p_amount returning balance into v_balance;
    if not found then
      raise exception 'insufficient credits';
    end if;
    insert into r3.events (account, amount, balance, key) values (p_account, p_amount, v_balance, p_key);
    return v_balance;
  end $$;
`;

const CANDIDATES = [8, 16, 32];

export type Kind = 'spread' | 'hot';

export type Reference = {
  /** Calls a second at the best number of connections. */
  measure(kind: Kind): Promise<number>;
  /** The best number of connections for each kind. */
  readonly best: Readonly<Record<Kind, number>>;
  close(): Promise<void>;
};

/** Makes the tables in a database of their own, and finds the best number of connections. `measureFor` in ms. */
export async function createReference(url: string, accounts: number, measureFor: number): Promise<Reference> {
  const pool = new pg.Pool({ connectionString: url, max: Math.max(...CANDIDATES), idleTimeoutMillis: 0 });
  pool.on('error', () => undefined);
  await pool.query(SCHEMA);
  await pool.query('insert into r3.accounts select id, 1e15 from generate_series(0, $1::int) id', [accounts]);
  await pool.query('vacuum analyze r3.accounts');
  let keys = 0;

  /** Account 0 is the hot one. */
  const run = async (kind: Kind, connections: number, forMs: number): Promise<number> => {
    const latencies = new Latencies();
    const start = performance.now();
    const lane = async (): Promise<void> => {
      const client = await pool.connect();
      try {
        for (let sent = performance.now(); sent < start + forMs; ) {
          const account = kind === 'hot' ? 0 : 1 + Math.floor(Math.random() * accounts);
          await client.query({
            name: 'consume',
            text: 'select r3.consume($1, $2, $3)',
            values: [account, 10_000, `key-${(keys += 1)}`],
          });
          const now = performance.now();
          latencies.add(now - sent);
          sent = now;
        }
      } finally {
        client.release();
      }
    };
    await Promise.all(Array.from({ length: connections }, lane));
    return latencies.total / ((performance.now() - start) / 1_000);
  };

  const findBest = async (kind: Kind): Promise<number> => {
    const rates = new Map<number, number>();
    for (const connections of CANDIDATES) rates.set(connections, await run(kind, connections, measureFor));
    return [...rates].toSorted(([, a], [, b]) => b - a)[0]?.[0] ?? 16;
  };

  await run('spread', 16, measureFor);
  const best = { spread: await findBest('spread'), hot: await findBest('hot') };
  return { best, measure: (kind) => run(kind, best[kind], measureFor), close: () => pool.end() };
}
