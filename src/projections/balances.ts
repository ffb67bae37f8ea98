import { sql, type Transaction } from 'kysely';
import { accountStream } from '../events/account-events.ts';
import { type Micro } from '../events/amounts.ts';
import { type BigintColumn, rowsOf, microOf, type NullableTimeColumn, type TimeColumn } from './columns.ts';
import type { ReadDatabase, ReadModels } from './database.ts';
import type { Events } from './events-of.ts';

export type BalancesTable = {
  user_id: string;
  revision: BigintColumn;
  available: BigintColumn;
  frozen: BigintColumn;
  reserved: BigintColumn;
  debt: BigintColumn;
  earned: BigintColumn;
  spent: BigintColumn;
  due_at: NullableTimeColumn;
  opened_at: TimeColumn;
  updated_at: TimeColumn;
};

/** What an account shows. Amounts in micro-credits. */
export type Balance = {
  readonly available: Micro;
  /** What is left of frozen grants: theirs, and not to be spent. */
  readonly frozen: Micro;
  readonly reserved: Micro;
  readonly debt: Micro;
  readonly earned: Micro;
  readonly spent: Micro;
  /** When the next hold or lot runs out: from then on these numbers are too high. */
  readonly dueAt: Date | null;
  readonly revision: number;
};

type BalanceRow = {
  readonly user_id: string;
  readonly revision: number;
  readonly available: Micro;
  readonly frozen: Micro;
  readonly reserved: Micro;
  readonly debt: Micro;
  readonly earned: Micro;
  readonly spent: Micro;
  readonly due_at: string | null;
  readonly opened_at: string;
  readonly updated_at: string;
};

const COLUMNS = {
  user_id: 'text',
  revision: 'bigint',
  available: 'bigint',
  frozen: 'bigint',
  reserved: 'bigint',
  debt: 'bigint',
  earned: 'bigint',
  spent: 'bigint',
  due_at: 'timestamptz',
  opened_at: 'timestamptz',
  updated_at: 'timestamptz',
} as const;

/**
 * An event carries the balances after it: the last one of each account is the row. Where the log is projected anew, what
 * is older than the row doesn't move it back.
 */
export async function applyBalances(tx: Transaction<ReadModels>, { ofUsers }: Events): Promise<void> {
  const rows = new Map<string, BalanceRow>();
  for (const { userId, event } of ofUsers) {
    const { available, frozen, reserved, debt, earned, spent, dueAt } = event.data.after;
    const { at } = event.metadata;
    // Where the account is new, the first of its events opened it.
    const times = { due_at: dueAt, opened_at: rows.get(userId)?.opened_at ?? at, updated_at: at };
    const amounts = { available, frozen, reserved, debt, earned, spent };
    rows.set(userId, { user_id: userId, revision: event.revision, ...amounts, ...times });
  }
  if (rows.size === 0) return;
  await sql`insert into balances
      (user_id, revision, available, frozen, reserved, debt, earned, spent, due_at, opened_at, updated_at)
    select * from ${rowsOf([...rows.values()], COLUMNS)}
    on conflict (user_id) do update set revision = excluded.revision, available = excluded.available,
      frozen = excluded.frozen, reserved = excluded.reserved, debt = excluded.debt, earned = excluded.earned,
      spent = excluded.spent, due_at = excluded.due_at, updated_at = excluded.updated_at
    where balances.revision < excluded.revision`.execute(tx);
}

/** An account's balance; undefined where no event of it has been applied. */
export async function findBalance(db: ReadDatabase, userId: string): Promise<Balance | undefined> {
  const row = await db.selectFrom('balances').selectAll().where('user_id', '=', userId).executeTakeFirst();
  return (
    row && {
      available: microOf(row.available),
      frozen: microOf(row.frozen),
      reserved: microOf(row.reserved),
      debt: microOf(row.debt),
      earned: microOf(row.earned),
      spent: microOf(row.spent),
      dueAt: row.due_at,
      revision: Number(row.revision),
    }
  );
}

/**
 * Users who hold something that has run out by `now`, longest overdue first, at most `limit`; and when the next is due.
 * Parked accounts are left out: their rows stand still, so that they would seem overdue for ever.
 */
export async function findDue(
  db: ReadDatabase,
  now: Date,
  limit: number,
): Promise<{ readonly users: readonly string[]; readonly next: Date | null }> {
  const rows = await db
    .selectFrom('balances')
    .select(['user_id', 'due_at'])
    .where('due_at', 'is not', null)
    .where(sql<boolean>`not exists (select from parked p where p.stream = ${accountStream('')} || user_id)`)
    .orderBy('due_at')
    .limit(limit + 1)
    .execute();
  const due = rows.filter((row) => row.due_at !== null && row.due_at <= now);
  return { users: due.slice(0, limit).map((row) => row.user_id), next: rows.find((row) => !due.includes(row))?.due_at ?? null };
}
