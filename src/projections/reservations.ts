import { type Insertable, type Selectable, sql, type Transaction } from 'kysely';
import { type Micro, ZERO } from '../events/amounts.ts';
import { sumOfLots } from '../events/lot-changes.ts';
import { appOf } from '../events/metadata.ts';
import { type BigintColumn, microOf, type NullableTimeColumn, rowsOf, type TimeColumn } from './columns.ts';
import type { ReadDatabase, ReadModels } from './database.ts';
import type { Events, UserEvent } from './events-of.ts';

export type ReservationStatus = 'held' | 'consumed' | 'released' | 'expired';

export type ReservationsTable = {
  user_id: string;
  revision: BigintColumn;
  status: ReservationStatus;
  amount: BigintColumn;
  taken: BigintColumn;
  released: BigintColumn;
  uncovered: BigintColumn;
  app: string;
  app_id: string | null;
  operation: string | null;
  personal: string | null;
  created_at: TimeColumn;
  expires_at: TimeColumn;
  settled_at: NullableTimeColumn;
};

/** A hold and how it stands. Amounts in micro-credits. */
export type Reservation = {
  readonly userId: string;
  readonly revision: number;
  readonly status: ReservationStatus;
  readonly amount: Micro;
  /** What its commit took. */
  readonly taken: Micro;
  /** What went back, at its commit, release or end. */
  readonly released: Micro;
  /** What was asked for and not covered, for an app that is only observed; once it is consumed, what was used of that. */
  readonly uncovered: Micro;
  readonly app: string;
  readonly appId: string | null;
  readonly operation: string | null;
  readonly personal: string | null;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly settledAt: Date | null;
};

type ReservationRow = Omit<Insertable<ReservationsTable>, 'settled_at'> & { settled_at: null };

const COLUMNS = {
  user_id: 'text',
  revision: 'bigint',
  status: 'text',
  amount: 'bigint',
  taken: 'bigint',
  released: 'bigint',
  uncovered: 'bigint',
  app: 'text',
  app_id: 'text',
  operation: 'text',
  personal: 'text',
  created_at: 'timestamptz',
  expires_at: 'timestamptz',
  settled_at: 'timestamptz',
} as const;

const SETTLED = {
  user_id: 'text',
  revision: 'bigint',
  status: 'text',
  taken: 'bigint',
  released: 'bigint',
  uncovered: 'bigint',
  at: 'timestamptz',
} as const;

/** Writes new holds and settles old ones. A hold that ran out may still be settled by a late commit or release. */
export async function applyReservations(tx: Transaction<ReadModels>, { ofUsers }: Events): Promise<void> {
  const made = ofUsers.flatMap(madeBy);
  if (made.length > 0) {
    await sql`insert into reservations (${sql.raw(Object.keys(COLUMNS).join(', '))})
      select * from ${rowsOf(made, COLUMNS)}`.execute(tx);
  }
  const settled = new Map<string, Settled>();
  for (const one of ofUsers.flatMap(settledBy)) {
    const key = `${one.user_id} ${one.revision}`;
    // A hold that ran out and was settled late, both in one batch: the last word counts, what its end gave back stays.
    settled.set(key, { ...one, released: settled.get(key)?.released ?? one.released });
  }
  if (settled.size === 0) return;
  await sql`update reservations h set status = r.status, taken = r.taken, settled_at = r.at,
      uncovered = coalesce(r.uncovered, h.uncovered), released = case when h.status = 'expired' then h.released else r.released end
    from ${rowsOf([...settled.values()], SETTLED)}
    where h.user_id = r.user_id and h.revision = r.revision`.execute(tx);
}

function madeBy({ userId, event }: UserEvent): ReservationRow[] {
  if (event.type !== 'CreditsReserved') return [];
  const { amount, uncovered = ZERO, appId, operation, personal, expiresAt } = event.data;
  const { at, actor } = event.metadata;
  const none = { taken: 0, released: 0, settled_at: null };
  const whose = { user_id: userId, revision: event.revision, status: 'held' as const, app: appOf(actor), app_id: appId };
  return [{ ...whose, ...none, amount, uncovered, operation, personal, created_at: at, expires_at: expiresAt }];
}

type Settled = {
  user_id: string;
  revision: number;
  status: ReservationStatus;
  taken: Micro;
  released: Micro;
  /** Null where the hold's own stands. */
  uncovered: Micro | null;
  at: string;
};

function settledBy({ userId, event }: UserEvent): Settled[] {
  const whose = { user_id: userId, uncovered: null, at: event.metadata.at };
  switch (event.type) {
    case 'CreditsConsumed': {
      const { reservation, amount, returned, toFrozen = [], lapsed, uncovered = ZERO } = event.data;
      if (reservation === null) return [];
      const released = sumOfLots([...returned, ...toFrozen, ...lapsed]);
      return [{ ...whose, revision: reservation, status: 'consumed', taken: amount, released, uncovered }];
    }
    case 'ReservationReleased':
      return [{ ...whose, revision: event.data.reservation, status: 'released', taken: ZERO, released: event.data.amount }];
    case 'Expired':
      return event.data.holds.map(([revision, released]) => ({ ...whose, revision, status: 'expired', taken: ZERO, released }));
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

/** A hold by the event that made it; undefined where it was not applied yet, or never was. */
export async function findReservation(db: ReadDatabase, userId: string, revision: number): Promise<Reservation | undefined> {
  const row = await db
    .selectFrom('reservations')
    .selectAll()
    .where('user_id', '=', userId)
    .where('revision', '=', String(revision))
    .executeTakeFirst();
  return row && reservationOf(row);
}

/** A user's open holds, the one that runs out soonest first, at most `limit`; and how many there are in all. */
export async function listOpenHolds(
  db: ReadDatabase,
  userId: string,
  limit: number,
): Promise<{ readonly holds: readonly Reservation[]; readonly count: number }> {
  const open = db.selectFrom('reservations').where('user_id', '=', userId).where('status', '=', 'held');
  const rows = await open.selectAll().orderBy('expires_at').orderBy('revision').limit(limit).execute();
  if (rows.length < limit) return { holds: rows.map(reservationOf), count: rows.length };
  const { count } = await open.select((eb) => eb.fn.countAll<string>().as('count')).executeTakeFirstOrThrow();
  return { holds: rows.map(reservationOf), count: Number(count) };
}

function reservationOf(row: Selectable<ReservationsTable>): Reservation {
  return {
    userId: row.user_id,
    revision: Number(row.revision),
    status: row.status,
    amount: microOf(row.amount),
    taken: microOf(row.taken),
    released: microOf(row.released),
    uncovered: microOf(row.uncovered),
    app: row.app,
    appId: row.app_id,
    operation: row.operation,
    personal: row.personal,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    settledAt: row.settled_at,
  };
}
