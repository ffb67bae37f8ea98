import { sql } from 'kysely';
import { type Micro } from '../events/amounts.ts';
import { type Balance, findBalance } from './balances.ts';
import { microOf, sumOf } from './columns.ts';
import type { ReadDatabase } from './database.ts';
import { listOpenHolds, type Reservation } from './reservations.ts';

/*
 * Why a balance is what it is: each lot that stands, where it came from and what it has paid for, and what is held.
 *
 * What a lot paid for in all stands in its own row, kept by the update that takes from it. For whom it paid is read from
 * the transactions, each of which carries its lots, back to a bound: so that spending, which happens all the time, is
 * not made to keep one more table for a question that is rarely asked.
 */

/** What a lot has paid for by an operation of an app, as far back as was looked. Amounts in micro-credits. */
export type PaidFor = {
  readonly app: string;
  readonly operation: string | null;
  readonly uses: number;
  readonly used: Micro;
  readonly givenBack: Micro;
};

/** A lot that something is left of. Amounts in micro-credits. */
export type StandingLot = {
  readonly revision: number;
  readonly source: string;
  readonly reason: string;
  readonly reference: string;
  readonly paidCents: number | null;
  readonly amount: Micro;
  /** What is left of it that no hold keeps: to be spent, where it isn't frozen. */
  readonly left: Micro;
  readonly held: Micro;
  readonly frozen: boolean;
  readonly revoked: Micro;
  readonly used: Micro;
  readonly givenBack: Micro;
  readonly uses: number;
  /** Who took most of it first. */
  readonly paidFor: readonly PaidFor[];
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  /** Ciphertext of what was said when it came. */
  readonly personal: string | null;
};

/** An account with all that explains its balance, as it was at one revision. */
export type Explained = {
  readonly balance: Balance;
  /** In the order in which they are spent. */
  readonly lots: readonly StandingLot[];
  /** What is set aside, soonest end first, as many as were asked for; and how many such there are. */
  readonly holds: readonly Reservation[];
  readonly holdCount: number;
};

export type ExplainLimits = {
  /** Open holds that are listed, at the most. */
  readonly holds: number;
  /** Transactions that are looked through for what lots have paid for, at the most: the newest. */
  readonly lookedThrough: number;
};

/** What explains a user's balance, all of one moment; undefined where no event of the account has been applied. */
export async function explainBalance(db: ReadDatabase, userId: string, limits: ExplainLimits): Promise<Explained | undefined> {
  return db
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (tx) => {
      const balance = await findBalance(tx, userId);
      if (balance === undefined) return undefined;
      const rows = await readLots(tx, userId);
      const standing = rows.map(({ revision }) => Number(revision));
      const paidFor = await readPaidFor(tx, userId, standing, limits.lookedThrough);
      const { holds, count } = await listOpenHolds(tx, userId, limits.holds);
      return { balance, lots: rows.map((row) => lotOf(row, paidFor)), holds, holdCount: count };
    });
}

/** Lots that something is left of, in the order in which they are spent. */
function readLots(db: ReadDatabase, userId: string) {
  return db
    .selectFrom('grants')
    .leftJoin('transactions', (join) =>
      join.onRef('transactions.user_id', '=', 'grants.user_id').onRef('transactions.revision', '=', 'grants.revision'),
    )
    .selectAll('grants')
    .select('transactions.personal')
    .where('grants.user_id', '=', userId)
    .where((eb) => eb.or([eb('grants.available', '>', '0'), eb('grants.held', '>', '0')]))
    .orderBy('grants.priority')
    .orderBy('grants.expires_at', (order) => order.asc().nullsLast())
    .orderBy('grants.revision')
    .execute();
}

function lotOf(row: Awaited<ReturnType<typeof readLots>>[number], paidFor: ReadonlyMap<number, readonly PaidFor[]>): StandingLot {
  const revision = Number(row.revision);
  return {
    revision,
    source: row.source,
    reason: row.reason,
    reference: row.reference,
    paidCents: row.paid_cents === null ? null : Number(row.paid_cents),
    amount: microOf(row.amount),
    left: microOf(row.available),
    held: microOf(row.held),
    frozen: row.frozen,
    revoked: microOf(row.revoked),
    used: sumOf(row.used),
    givenBack: sumOf(row.given_back),
    uses: Number(row.uses),
    paidFor: paidFor.get(revision) ?? [],
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    personal: row.personal,
  };
}

type PaidForRow = {
  readonly lot: string;
  readonly app: string;
  readonly operation: string | null;
  readonly uses: string;
  readonly used: string;
  readonly given_back: string;
};

/** What some lots have paid for, each, by app and operation, as far as the newest transactions tell. A refund counts for the consumption that it gives back. */
async function readPaidFor(
  db: ReadDatabase,
  userId: string,
  lots: readonly number[],
  lookedThrough: number,
): Promise<ReadonlyMap<number, readonly PaidFor[]>> {
  const found = new Map<number, PaidFor[]>();
  if (lots.length === 0) return found;
  const { rows } = await sql<PaidForRow>`select l.lot, coalesce(c.app_id, c.app, t.app_id, t.app) as app, t.operation,
      count(*) filter (where t.about is null) as uses,
      coalesce(sum(l.amount) filter (where t.about is null), 0) as used,
      coalesce(sum(l.amount) filter (where t.about is not null), 0) as given_back
    from (
      select revision, about, app, app_id, operation, lots from transactions
      where user_id = ${userId} and revision > ${Math.min(...lots)} and lots is not null
      order by revision desc limit ${lookedThrough}
    ) t
    cross join lateral (
      select (pair ->> 0)::bigint as lot, (pair ->> 1)::bigint as amount from jsonb_array_elements(t.lots::jsonb) pair
    ) l
    left join transactions c on t.about is not null and c.user_id = ${userId} and c.revision = t.about
    where l.lot = any (${[...lots]}::bigint[])
    group by 1, 2, 3
    order by used desc, app, operation`.execute(db);
  for (const { lot, app, operation, uses, used, given_back: givenBack } of rows) {
    const one = { app, operation, uses: Number(uses), used: sumOf(used), givenBack: sumOf(givenBack) };
    found.set(Number(lot), [...(found.get(Number(lot)) ?? []), one]);
  }
  return found;
}
