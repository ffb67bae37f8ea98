import { sql, type Transaction } from 'kysely';
import { minus, type Micro, ZERO } from '../events/amounts.ts';
import type { AccountEvent, GrantSource } from '../events/account-events.ts';
import type { Recorded } from '../events/event-types.ts';
import { availableChange, sumOfLots } from '../events/lot-changes.ts';
import { appOf } from '../events/metadata.ts';
import {
  type BigintColumn,
  microOf,
  type NullableBigintColumn,
  type NullableTimeColumn,
  rowsOf,
  type TimeColumn,
} from './columns.ts';
import type { ReadDatabase, ReadModels } from './database.ts';
import type { Events, UserEvent } from './events-of.ts';
import { lotsPaying } from './grants.ts';

export const TRANSACTION_TYPES = [
  'purchase', 'usage', 'refund', 'gift', 'grant', 'guild_funding', 'reserve', 'release', 'expiry', 'adjustment', 'dispute',
] as const; // biome-ignore format: one line a group
export type TransactionType = (typeof TRANSACTION_TYPES)[number];
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
  about: NullableBigintColumn;
  lots: string | null;
  uncovered: NullableBigintColumn;
  cost: NullableBigintColumn;
  per: NullableBigintColumn;
  quantity: NullableBigintColumn;
  free_units: NullableBigintColumn;
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
  /** The revision of the consumption that this gives back, or of the grant that it is about. */
  readonly about: number | null;
  /** What was used and nobody pays; null where there was nothing of the kind. */
  readonly uncovered: Micro | null;
  /** The price in force where it was charged by one: so much for `per` units. */
  readonly cost: Micro | null;
  readonly per: number | null;
  readonly quantity: number | null;
  /** How many of the units were free. */
  readonly free_units: number | null;
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
  const price = 'price' in data ? data.price : undefined;
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
    about: aboutOf(event),
    uncovered: ('uncovered' in data ? data.uncovered : undefined) ?? null,
    cost: price?.cost ?? null,
    per: price?.per ?? null,
    quantity: price?.quantity ?? null,
    free_units: ('free' in data ? data.free?.units : undefined) ?? null,
    idempotency_key: metadata.idempotencyKey,
    personal: 'personal' in data ? data.personal : null,
    created_at: metadata.at,
    completed_at: kind.pending === true ? null : metadata.at,
  };
}

function aboutOf({ type, data }: AccountEvent): number | null {
  if (type === 'CreditsRefunded') return data.consumption;
  return type === 'GrantFrozen' || type === 'GrantUnfrozen' || type === 'GrantRevoked' ? data.grant : null;
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
  about: 'bigint',
  lots: 'text',
  uncovered: 'bigint',
  cost: 'bigint',
  per: 'bigint',
  quantity: 'bigint',
  free_units: 'bigint',
  idempotency_key: 'text',
  personal: 'text',
  created_at: 'timestamptz',
  completed_at: 'timestamptz',
} as const;

/** All but the lots, which nobody but their grants' readers asks for. */
const SHOWN = (Object.keys(COLUMNS) as (keyof typeof COLUMNS)[]).filter((name) => name !== 'lots');

const SETTLED = { user_id: 'text', revision: 'bigint', status: 'text', at: 'timestamptz' } as const;

/** Writes the transactions; a hold's own is completed by its commit, cancelled by its release or its end. */
export async function applyTransactions(tx: Transaction<ReadModels>, { ofUsers }: Events): Promise<void> {
  const rows = ofUsers.flatMap((one) => {
    const row = transactionOf(one);
    return row === undefined ? [] : [{ ...row, lots: lotsText(one) }];
  });
  if (rows.length === 0) return;
  await sql`insert into transactions (${sql.raw(Object.keys(COLUMNS).join(', '))})
    select * from ${rowsOf(rows, COLUMNS)}`.execute(tx);
  // A hold that ran out and was settled late, both in one batch: its transaction ended when it ran out.
  const settled = new Map(
    ofUsers
      .flatMap(settledHolds)
      .toReversed()
      .map((one) => [`${one.user_id} ${one.revision}`, one]),
  );
  if (settled.size === 0) return;
  await sql`update transactions t set status = r.status, completed_at = r.at
    from ${rowsOf([...settled.values()], SETTLED)}
    where t.user_id = r.user_id and t.revision = r.revision and t.status = 'pending'`.execute(tx);
}

/** Which lots paid, or were paid back, as JSON: what a lot has paid for is read from here. */
function lotsText({ event }: UserEvent): string | null {
  const lots = lotsPaying(event)?.lots ?? [];
  return lots.length === 0 ? null : JSON.stringify(lots);
}

type SettledHold = { user_id: string; revision: number; status: TransactionStatus; at: string };

function settledHolds({ userId, event }: UserEvent): SettledHold[] {
  const { at } = event.metadata;
  switch (event.type) {
    case 'CreditsConsumed': {
      const { reservation } = event.data;
      return reservation === null ? [] : [{ user_id: userId, revision: reservation, status: 'completed', at }];
    }
    case 'ReservationReleased':
      return [{ user_id: userId, revision: event.data.reservation, status: 'cancelled', at }];
    case 'Expired':
      return event.data.holds.map(([revision]) => ({ user_id: userId, revision, status: 'cancelled', at }));
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

/** Which of a user's transactions: what is left out narrows nothing. */
export type TransactionsWanted = {
  readonly limit: number;
  readonly offset?: number;
  /** Those before this revision only: the last one of the page before. */
  readonly before?: number | undefined;
  readonly type?: TransactionType | undefined;
  /** The label that the caller gave, or who acted where there is none. */
  readonly app?: string | undefined;
  /** From this time on, and up to but not at that one. */
  readonly from?: Date | undefined;
  readonly until?: Date | undefined;
};

/**
 * A user's transactions, newest first. Pages are cut by revision: what is new stands before the first page, and what
 * stood behind a row stays behind it, so that following `before` shows each row once while others arrive.
 */
export async function listTransactions(
  db: ReadDatabase,
  userId: string,
  { limit, offset = 0, before, type, app, from, until }: TransactionsWanted,
): Promise<readonly TransactionRow[]> {
  let wanted = db.selectFrom('transactions').select(SHOWN).where('user_id', '=', userId);
  if (before !== undefined) wanted = wanted.where('revision', '<', String(before));
  if (type !== undefined) wanted = wanted.where('type', '=', type);
  if (app !== undefined) wanted = wanted.where(sql<boolean>`coalesce(app_id, app) = ${app}`);
  if (from !== undefined) wanted = wanted.where('created_at', '>=', from);
  if (until !== undefined) wanted = wanted.where('created_at', '<', until);
  const rows = await wanted.orderBy('revision', 'desc').limit(limit).offset(offset).execute();
  return rows.map((row) => ({
    ...row,
    revision: Number(row.revision),
    amount: microOf(row.amount),
    balance_before: microOf(row.balance_before),
    balance_after: microOf(row.balance_after),
    reservation: numberOf(row.reservation),
    about: numberOf(row.about),
    uncovered: row.uncovered === null ? null : microOf(row.uncovered),
    cost: row.cost === null ? null : microOf(row.cost),
    per: numberOf(row.per),
    quantity: numberOf(row.quantity),
    free_units: numberOf(row.free_units),
    created_at: row.created_at.toISOString(),
    completed_at: row.completed_at?.toISOString() ?? null,
  }));
}

function numberOf(column: string | null): number | null {
  return column === null ? null : Number(column);
}
