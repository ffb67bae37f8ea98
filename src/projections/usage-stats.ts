import { sql, type Transaction } from 'kysely';
import { type Micro, plus, ZERO } from '../events/amounts.ts';
import { appOf } from '../events/metadata.ts';
import { type BigintColumn, rowsOf, sumOf } from './columns.ts';
import type { ReadDatabase, ReadModels } from './database.ts';
import type { Events, UserEvent } from './events-of.ts';

export type UsageStatsTable = {
  user_id: string;
  day: string;
  app: string;
  operation: string;
  uses: BigintColumn;
  amount: BigintColumn;
  quantity: BigintColumn;
  free_units: BigintColumn;
  uncovered: BigintColumn;
  refunded: BigintColumn;
};

/** What was used. Amounts in micro-credits. */
export type Usage = {
  readonly uses: number;
  /** What was covered. */
  readonly amount: Micro;
  /** Units of what is priced, those that were free among them. */
  readonly quantity: number;
  readonly freeUnits: number;
  /** What was used and nobody pays, by apps that are only observed. */
  readonly uncovered: Micro;
  /** What came back of earlier uses, on the day on which it did. */
  readonly refunded: Micro;
};

/** Usage of a day, of an app, or of an operation of an app; what isn't grouped by is null. */
export type UsageGroup = Usage & { readonly day: string | null; readonly app: string | null; readonly operation: string | null };

type UsageRow = {
  readonly user_id: string;
  readonly day: string;
  readonly app: string;
  readonly operation: string;
  uses: number;
  amount: Micro;
  quantity: number;
  free_units: number;
  uncovered: Micro;
  refunded: Micro;
};

const COLUMNS = {
  user_id: 'text',
  day: 'text',
  app: 'text',
  operation: 'text',
  uses: 'bigint',
  amount: 'bigint',
  quantity: 'bigint',
  free_units: 'bigint',
  uncovered: 'bigint',
  refunded: 'bigint',
} as const;

/** Adds up consumptions and refunds by user, day (UTC), app and operation. A refund counts on its own day. */
export async function applyUsageStats(tx: Transaction<ReadModels>, { ofUsers }: Events): Promise<void> {
  const rows = new Map<string, UsageRow>();
  for (const one of ofUsers) add(rows, one);
  if (rows.size === 0) return;
  await sql`insert into usage_stats as s
      (user_id, day, app, operation, uses, amount, quantity, free_units, uncovered, refunded)
    select user_id, day::date, app, operation, uses, amount, quantity, free_units, uncovered, refunded
    from ${rowsOf([...rows.values()], COLUMNS)}
    on conflict (user_id, day, app, operation) do update set uses = s.uses + excluded.uses,
      amount = s.amount + excluded.amount, quantity = s.quantity + excluded.quantity,
      free_units = s.free_units + excluded.free_units, uncovered = s.uncovered + excluded.uncovered,
      refunded = s.refunded + excluded.refunded`.execute(tx);
}

function add(rows: Map<string, UsageRow>, { userId, event }: UserEvent): void {
  if (event.type === 'CreditsConsumed') {
    const { amount, appId, operation, price, free, uncovered = ZERO } = event.data;
    const row = rowOf(rows, userId, event.metadata.at, appId ?? appOf(event.metadata.actor), operation);
    row.uses += 1;
    row.amount = plus(row.amount, amount);
    row.quantity += price?.quantity ?? 0;
    row.free_units += free?.units ?? 0;
    row.uncovered = plus(row.uncovered, uncovered);
  } else if (event.type === 'CreditsRefunded') {
    const { amount, app, appId, operation } = event.data;
    const row = rowOf(rows, userId, event.metadata.at, appId ?? app, operation);
    row.refunded = plus(row.refunded, amount);
  }
}

function rowOf(rows: Map<string, UsageRow>, user: string, at: string, app: string, operation: string | null): UsageRow {
  const day = at.slice(0, 'YYYY-MM-DD'.length);
  // No text that is stored holds U+0000.
  const key = `${user}\0${day}\0${app}\0${operation ?? ''}`;
  const known = rows.get(key);
  if (known !== undefined) return known;
  const none = { uses: 0, amount: ZERO, quantity: 0, free_units: 0, uncovered: ZERO, refunded: ZERO };
  const row = { user_id: user, day, app, operation: operation ?? '', ...none };
  rows.set(key, row);
  return row;
}

/** What usage is grouped by: an operation is one of its app. */
export const GROUPINGS = ['day', 'app', 'operation'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** By which columns, and what is read of them. */
const GROUPED = {
  day: { by: 'day', read: 'day::text as day, null as app, null as operation, grouping(day) = 1 as is_total', order: 'day desc' },
  app: { by: 'app', read: 'null as day, app, null as operation, grouping(app) = 1 as is_total', order: 'amount desc, app' },
  operation: {
    by: 'app, operation',
    read: `null as day, app, nullif(operation, '') as operation, grouping(app) = 1 as is_total`,
    order: 'amount desc, app, operation',
  },
} as const;

/** Sums as the driver reads numeric, null where there is nothing to add up. */
type SummedRow = Pick<UsageGroup, 'day' | 'app' | 'operation'> & { readonly is_total: boolean } & {
  readonly [Column in 'uses' | 'amount' | 'quantity' | 'free_units' | 'uncovered' | 'refunded']: string | null;
};

/**
 * A user's usage from one day to another (`YYYY-MM-DD`, UTC, both included) in groups, at most `limit`: days newest
 * first, otherwise what took most first. And all of it together, whatever the limit.
 */
export async function findUsage(
  db: ReadDatabase,
  userId: string,
  {
    from,
    to,
    groupBy,
    limit,
  }: { readonly from: string; readonly to: string; readonly groupBy: Grouping; readonly limit: number },
): Promise<{ readonly total: Usage; readonly groups: readonly UsageGroup[] }> {
  const { by, read, order } = GROUPED[groupBy];
  // One statement, so that groups and total are of one moment. The empty grouping set is the total: it is always there.
  const { rows } = await sql<SummedRow>`select ${sql.raw(read)}, sum(uses) as uses, sum(amount) as amount,
      sum(quantity) as quantity, sum(free_units) as free_units, sum(uncovered) as uncovered, sum(refunded) as refunded
    from usage_stats
    where user_id = ${userId} and day between ${from}::date and ${to}::date
    group by grouping sets ((${sql.raw(by)}), ())
    order by is_total desc, ${sql.raw(order)} limit ${limit + 1}`.execute(db);
  const [total, ...groups] = rows;
  if (total?.is_total !== true) throw new Error('usage has a total, whatever there is of it');
  return { total: usageOf(total), groups: groups.map((row) => ({ ...namesOf(row), ...usageOf(row) })) };
}

function namesOf({ day, app, operation }: SummedRow): Pick<UsageGroup, 'day' | 'app' | 'operation'> {
  return { day, app, operation };
}

function usageOf({ uses, amount, quantity, free_units: freeUnits, uncovered, refunded }: SummedRow): Usage {
  return {
    uses: Number(uses),
    amount: sumOf(amount ?? '0'),
    quantity: Number(quantity),
    freeUnits: Number(freeUnits),
    uncovered: sumOf(uncovered ?? '0'),
    refunded: sumOf(refunded ?? '0'),
  };
}
