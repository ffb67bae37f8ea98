import { sql, type Transaction } from 'kysely';
import { minus, type Micro, ZERO } from '../events/amounts.ts';
import type { AccountEvent, GrantSource } from '../events/account-events.ts';
import type { Recorded } from '../events/event-types.ts';
import { availableChange, sumOfLots } from '../events/lot-changes.ts';
import { appOf } from '../events/metadata.ts';
import { type BigintColumn, type NullableBigintColumn, type NullableTimeColumn, rowsOf, type TimeColumn } from './columns.ts';
import type { ReadDatabase, ReadModels } from './database.ts';
import { type UserEvent, userEvents } from './events-of.ts';

export type TransactionType =
  | 'purchase' | 'usage' | 'refund' | 'gift' | 'grant' | 'guild_funding' | 'reserve' | 'release' | 'expiry' | 'adjustment' | 'dispute'; // biome-ignore format: one line a group
export type TransactionStatus = 'pending' | 'completed' | 'cancelled';

export type TransactionsTable = {
  user_id: string;
  revision: BigintColumn;
  type: TransactionType;
  status: TransactionStatus;
  amount: BigintColumn;
  balance_before: BigintColumn;
  balance_after: BigintColumn;
  app: string;
  app_id: string | null;
  operation: string | null;
  reservation: NullableBigintColumn;
  idempotency_key: string | null;
  personal: string | null;
  created_at: TimeColumn;
  completed_at: NullableTimeColumn;
};

/** A transaction as the event it stands for tells it. Amounts in micro-credits, negative where credits left. */
export type TransactionRow = {
  readonly user_id: string;
  readonly revision: number;
  readonly type: TransactionType;
  readonly status: TransactionStatus;
  readonly amount: Micro;
  readonly balance_before: Micro;
  readonly balance_after: Micro;
  readonly app: string;
  readonly app_id: string | null;
  readonly operation: string | null;
  readonly reservation: number | null;
  readonly idempotency_key: string | null;
  readonly personal: string | null;
  readonly created_at: string;
  readonly completed_at: string | null;
};

type Kind = Pick<TransactionRow, 'type' | 'amount'> & { readonly pending?: boolean };

/** The transaction that an event is to its user; undefined where it is none (an account that was opened). */
export function transactionOf({ userId, event }: UserEvent): TransactionRow | undefined {
  const kind = kindOf(event);
  if (kind === undefined) return undefined;
  const { data, metadata } = event;
  const after = data.after.available;
  return {
    user_id: userId,
    revision: event.revision,
    type: kind.type,
    status: kind.pending === true ? 'pending' : 'completed',
    amount: kind.amount,
    balance_before: minus(after, availableChange(event)),
    balance_after: after,
    app: appOf(metadata.actor),
    app_id: 'appId' in data ? data.appId : null,
    operation: 'operation' in data ? data.operation : null,
    reservation: 'reservation' in data ? data.reservation : null,
    idempotency_key: metadata.idempotencyKey,
    personal: 'personal' in data ? data.personal : null,
    created_at: metadata.at,
    completed_at: kind.pending === true ? null : metadata.at,
  };
}

function kindOf(event: Recorded<AccountEvent>): Kind | undefined {
  switch (event.type) {
    case 'AccountOpened':
      return undefined;
    case 'CreditsGranted':
      return { type: typeOfGrant(event.data.source), amount: event.data.amount };
    case 'CreditsReserved':
      return { type: 'reserve', amount: minus(ZERO, event.data.amount), pending: true };
    case 'CreditsConsumed':
      return { type: 'usage', amount: minus(ZERO, event.data.amount) };
    case 'ReservationReleased':
      return { type: 'release', amount: sumOfLots(event.data.returned) };
    case 'Expired':
      return { type: 'expiry', amount: availableChange(event) };
    case 'CreditsRefunded':
      return { type: 'refund', amount: event.data.amount };
    case 'CreditsDebited':
      return {
        type: event.data.reason === 'gift_created' ? 'gift' : 'guild_funding',
        amount: minus(ZERO, event.data.amount),
      };
    case 'GrantFrozen':
    case 'GrantUnfrozen':
    case 'GrantRevoked':
      return { type: 'dispute', amount: availableChange(event) };
    default:
      return event satisfies never;
  }
}

function typeOfGrant(source: GrantSource): TransactionType {
  switch (source) {
    case 'purchase':
    case 'gift':
    case 'adjustment':
      return source;
    case 'goodwill':
      return 'refund';
    case 'promo':
    case 'signup':
      return 'grant';
    default:
      return source satisfies never;
  }
}

const COLUMNS = {
  user_id: 'text',
  revision: 'bigint',
  type: 'text',
  status: 'text',
  amount: 'bigint',
  balance_before: 'bigint',
  balance_after: 'bigint',
  app: 'text',
  app_id: 'text',
  operation: 'text',
  reservation: 'bigint',
  idempotency_key: 'text',
  personal: 'text',
  created_at: 'timestamptz',
  completed_at: 'timestamptz',
} as const;

const SETTLED = { user_id: 'text', revision: 'bigint', status: 'text', at: 'timestamptz' } as const;

/** Writes the transactions; a hold's own is completed by its commit, cancelled by its release or its end. */
export async function applyTransactions(tx: Transaction<ReadModels>, events: readonly Recorded[]): Promise<void> {
  const accounts = userEvents(events);
  const rows = accounts.flatMap((one) => transactionOf(one) ?? []);
  if (rows.length === 0) return;
  await sql`insert into read_model.transactions (${sql.raw(Object.keys(COLUMNS).join(', '))})
    select * from ${rowsOf(rows, COLUMNS)}`.execute(tx);
  // A hold that ran out and was settled late, both in one batch: its transaction ended when it ran out.
  const settled = new Map(
    accounts
      .flatMap(settledHolds)
      .toReversed()
      .map((one) => [`${one.user_id} ${one.revision}`, one]),
  );
  if (settled.size === 0) return;
  await sql`update read_model.transactions t set status = r.status, completed_at = r.at
    from ${rowsOf([...settled.values()], SETTLED)}
    where t.user_id = r.user_id and t.revision = r.revision and t.status = 'pending'`.execute(tx);
}

function settledHolds({
  userId,
  event,
}: UserEvent): { user_id: string; revision: number; status: TransactionStatus; at: string }[] {
  const settle = (revision: number, status: TransactionStatus) => ({ user_id: userId, revision, status, at: event.metadata.at });
  switch (event.type) {
    case 'CreditsConsumed':
      return event.data.reservation === null ? [] : [settle(event.data.reservation, 'completed')];
    case 'ReservationReleased':
      return [settle(event.data.reservation, 'cancelled')];
    case 'Expired':
      return event.data.holds.map(([revision]) => settle(revision, 'cancelled'));
    case 'AccountOpened':
    case 'CreditsGranted':
    case 'CreditsReserved':
    case 'CreditsRefunded':
    case 'CreditsDebited':
    case 'GrantFrozen':
    case 'GrantUnfrozen':
    case 'GrantRevoked':
      return [];
    default:
      return event satisfies never;
  }
}

/** A user's transactions, newest first. */
export async function listTransactions(
  db: ReadDatabase,
  userId: string,
  { limit, offset }: { readonly limit: number; readonly offset: number },
): Promise<readonly TransactionRow[]> {
  const rows = await db
    .selectFrom('transactions')
    .selectAll()
    .where('user_id', '=', userId)
    .orderBy('revision', 'desc')
    .limit(limit)
    .offset(offset)
    .execute();
  return rows.map((row) => ({
    ...row,
    revision: Number(row.revision),
    amount: Number(row.amount) as Micro,
    balance_before: Number(row.balance_before) as Micro,
    balance_after: Number(row.balance_after) as Micro,
    reservation: row.reservation === null ? null : Number(row.reservation),
    created_at: row.created_at.toISOString(),
    completed_at: row.completed_at?.toISOString() ?? null,
  }));
}
