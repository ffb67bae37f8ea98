import { type Insertable, sql, type Transaction } from 'kysely';
import { type Micro, micro, ZERO } from '../events/amounts.ts';
import type { Recorded } from '../events/event-types.ts';
import { lotChanges } from '../events/lot-changes.ts';
import { type BigintColumn, microOf, type NullableTimeColumn, rowsOf, type TimeColumn } from './columns.ts';
import type { ReadDatabase, ReadModels } from './database.ts';
import { type UserEvent, userEvents } from './events-of.ts';

export type GrantsTable = {
  user_id: string;
  revision: BigintColumn;
  source: string;
  reason: string;
  reference: string;
  amount: BigintColumn;
  available: BigintColumn;
  held: BigintColumn;
  priority: number;
  expires_at: NullableTimeColumn;
  created_at: TimeColumn;
};

type GrantRow = Omit<Insertable<GrantsTable>, 'expires_at'> & { expires_at: string | null };

const COLUMNS = {
  user_id: 'text',
  revision: 'bigint',
  source: 'text',
  reason: 'text',
  reference: 'text',
  amount: 'bigint',
  available: 'bigint',
  held: 'bigint',
  priority: 'int',
  expires_at: 'timestamptz',
  created_at: 'timestamptz',
} as const;

const CHANGES = { user_id: 'text', revision: 'bigint', available: 'bigint', held: 'bigint' } as const;

/** Writes new grants, and what later events took from them, held of them and gave back. */
export async function applyGrants(tx: Transaction<ReadModels>, events: readonly Recorded[]): Promise<void> {
  const accounts = userEvents(events);
  const made = accounts.flatMap(madeBy);
  if (made.length > 0) {
    await sql`insert into read_model.grants (${sql.raw(Object.keys(COLUMNS).join(', '))})
      select * from ${rowsOf(made, COLUMNS)}`.execute(tx);
  }
  const changes = changesBy(accounts);
  if (changes.length === 0) return;
  await sql`update read_model.grants g set available = g.available + r.available, held = g.held + r.held
    from ${rowsOf(changes, CHANGES)}
    where g.user_id = r.user_id and g.revision = r.revision`.execute(tx);
}

function madeBy({ userId, event }: UserEvent): GrantRow[] {
  if (event.type !== 'CreditsGranted') return [];
  const { amount, source, reason, reference, priority, expiresAt } = event.data;
  const named = { user_id: userId, revision: event.revision, source, reason, reference, priority };
  return [{ ...named, amount, available: amount, held: 0, expires_at: expiresAt, created_at: event.metadata.at }];
}

type Change = { user_id: string; revision: number; available: Micro; held: Micro };

/** What some events do to each lot, in sum. */
function changesBy(accounts: readonly UserEvent[]): Change[] {
  const changes = new Map<string, Change>();
  for (const { userId, event } of accounts) {
    for (const [amounts, available, held] of lotChanges(event)) {
      for (const [revision, amount] of amounts) {
        const key = `${userId} ${revision}`;
        const change = changes.get(key) ?? { user_id: userId, revision, available: ZERO, held: ZERO };
        change.available = micro(change.available + amount * available);
        change.held = micro(change.held + amount * held);
        changes.set(key, change);
      }
    }
  }
  return [...changes.values()];
}

/** What of a user's credits runs out and when, soonest first, at most `limit` lots. Amounts in micro-credits. */
export async function findExpiring(
  db: ReadDatabase,
  userId: string,
  limit: number,
): Promise<readonly { amount: Micro; at: Date }[]> {
  const rows = await db
    .selectFrom('grants')
    .select(['available', 'expires_at'])
    .where('user_id', '=', userId)
    .where('expires_at', 'is not', null)
    .where('available', '>', '0')
    .orderBy('expires_at')
    .limit(limit)
    .execute();
  return rows.flatMap(({ available, expires_at: at }) => (at === null ? [] : [{ amount: microOf(available), at }]));
}
