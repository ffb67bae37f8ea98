import { type Insertable, sql, type Transaction } from 'kysely';
import { type Micro, micro, ZERO } from '../events/amounts.ts';
import { type AccountEvent, accountStream, type LotAmounts } from '../events/account-events.ts';
import type { Recorded } from '../events/event-types.ts';
import { lotChanges } from '../events/lot-changes.ts';
import { wireId } from '../events/wire-ids.ts';
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

export type GrantsTable = {
  user_id: string;
  revision: BigintColumn;
  source: string;
  reason: string;
  reference: string;
  amount: BigintColumn;
  paid_cents: NullableBigintColumn;
  available: BigintColumn;
  held: BigintColumn;
  frozen: boolean;
  revoked: BigintColumn;
  used: BigintColumn;
  given_back: BigintColumn;
  uses: BigintColumn;
  priority: number;
  expires_at: NullableTimeColumn;
  created_at: TimeColumn;
};

/** A row as it begins: what is left out is zero, and not frozen. */
type GrantRow = Omit<
  Insertable<GrantsTable>,
  'expires_at' | 'paid_cents' | 'frozen' | 'revoked' | 'used' | 'given_back' | 'uses'
> & { expires_at: string | null; paid_cents: number | null };

const COLUMNS = {
  user_id: 'text',
  revision: 'bigint',
  source: 'text',
  reason: 'text',
  reference: 'text',
  amount: 'bigint',
  paid_cents: 'bigint',
  available: 'bigint',
  held: 'bigint',
  priority: 'int',
  expires_at: 'timestamptz',
  created_at: 'timestamptz',
} as const;

const CHANGES = {
  user_id: 'text',
  revision: 'bigint',
  available: 'bigint',
  held: 'bigint',
  used: 'bigint',
  given_back: 'bigint',
  uses: 'bigint',
} as const;

const STANDINGS = { user_id: 'text', revision: 'bigint', frozen: 'text', revoked: 'bigint', expires_at: 'timestamptz' } as const;

/**
 * Writes new grants; what later events took from them, held of them, gave back and paid with them; and which were frozen
 * or revoked. A grant that nothing is left of keeps its row: a refund may bring something back to it.
 */
export async function applyGrants(tx: Transaction<ReadModels>, { ofUsers }: Events): Promise<void> {
  const made = ofUsers.flatMap(madeBy);
  if (made.length > 0) {
    await sql`insert into grants (${sql.raw(Object.keys(COLUMNS).join(', '))})
      select * from ${rowsOf(made, COLUMNS)}`.execute(tx);
  }
  const changes = changesBy(ofUsers);
  if (changes.length > 0) {
    await sql`update grants g set available = g.available + r.available, held = g.held + r.held,
        used = g.used + r.used, given_back = g.given_back + r.given_back, uses = g.uses + r.uses
      from ${rowsOf(changes, CHANGES)}
      where g.user_id = r.user_id and g.revision = r.revision`.execute(tx);
  }
  const standings = standingsAfter(ofUsers);
  if (standings.length === 0) return;
  await sql`update grants g set frozen = coalesce(r.frozen::boolean, g.frozen), revoked = r.revoked,
      expires_at = r.expires_at
    from ${rowsOf(standings, STANDINGS)}
    where g.user_id = r.user_id and g.revision = r.revision`.execute(tx);
}

function madeBy({ userId, event }: UserEvent): GrantRow[] {
  const made = { user_id: userId, revision: event.revision, held: 0, created_at: event.metadata.at };
  if (event.type === 'CreditsGranted') {
    const { amount, source, reason, reference, priority, expiresAt, paidCents = null } = event.data;
    const named = { source, reason, reference, priority, paid_cents: paidCents };
    return [{ ...made, ...named, amount, available: amount, expires_at: expiresAt }];
  }
  if (event.type === 'CreditsRefunded' && event.data.fresh !== undefined) {
    const { consumption, fresh } = event.data;
    const reference = wireId('txn', { stream: accountStream(userId), revision: consumption });
    const named = { source: 'refund', reason: 'refund', reference, priority: fresh.priority, paid_cents: null };
    return [{ ...made, ...named, amount: fresh.amount, available: fresh.amount, expires_at: fresh.expiresAt }];
  }
  return [];
}

type Change = {
  readonly user_id: string;
  readonly revision: number;
  available: Micro;
  held: Micro;
  used: Micro;
  given_back: Micro;
  uses: number;
};

/** What some events do to each lot, in sum. */
function changesBy(accounts: readonly UserEvent[]): Change[] {
  const changes = new Map<string, Change>();
  for (const { userId, event } of accounts) {
    for (const [amounts, available, held] of lotChanges(event)) {
      for (const [revision, amount] of amounts) {
        const change = changeOf(changes, userId, revision);
        change.available = micro(change.available + amount * available);
        change.held = micro(change.held + amount * held);
      }
    }
    const paid = lotsPaying(event);
    for (const [revision, amount] of paid?.lots ?? []) {
      const change = changeOf(changes, userId, revision);
      if (paid?.back === true) change.given_back = micro(change.given_back + amount);
      else {
        change.used = micro(change.used + amount);
        change.uses += 1;
      }
    }
  }
  return [...changes.values()];
}

function changeOf(changes: Map<string, Change>, userId: string, revision: number): Change {
  const key = `${userId} ${revision}`;
  const known = changes.get(key);
  if (known !== undefined) return known;
  const none = { available: ZERO, held: ZERO, used: ZERO, given_back: ZERO, uses: 0 };
  const change = { user_id: userId, revision, ...none };
  changes.set(key, change);
  return change;
}

/**
 * Which lots pay for a consumption, each once, or have it given back to them by a refund; undefined for other events. What
 * comes back as a lot of its own is in no lot's account: those that paid have ended.
 */
export function lotsPaying(event: Recorded<AccountEvent>): { readonly back: boolean; readonly lots: LotAmounts } | undefined {
  if (event.type === 'CreditsConsumed') return { back: false, lots: joined(event.data.fromHold, event.data.fromAvailable) };
  if (event.type === 'CreditsRefunded') return { back: true, lots: joined(event.data.restored, event.data.toFrozen ?? []) };
  return undefined;
}

/** Two lists of lots as one, each lot once. */
function joined(some: LotAmounts, others: LotAmounts): LotAmounts {
  if (some.length === 0) return others;
  if (others.length === 0) return some;
  const sums = new Map(some);
  for (const [revision, amount] of others) sums.set(revision, micro((sums.get(revision) ?? 0) + amount));
  return [...sums];
}

type Standing = {
  readonly user_id: string;
  readonly revision: number;
  /** `true`, `false`, or null for as before. */
  readonly frozen: string | null;
  readonly revoked: Micro;
  readonly expires_at: string | null;
};

/** How grants stand after some events about them: the last one says it, but for what it leaves as it was. */
function standingsAfter(accounts: readonly UserEvent[]): Standing[] {
  const standings = new Map<string, Standing>();
  for (const { userId, event } of accounts) {
    if (event.type !== 'GrantFrozen' && event.type !== 'GrantUnfrozen' && event.type !== 'GrantRevoked') continue;
    const { grant, granted, revoked, expiresAt } = event.data;
    const key = `${userId} ${grant}`;
    const frozen = frozenBy(event.type, revoked === granted) ?? standings.get(key)?.frozen ?? null;
    standings.set(key, { user_id: userId, revision: grant, frozen, revoked, expires_at: expiresAt });
  }
  return [...standings.values()];
}

/** Nothing of a grant that is revoked altogether is frozen any more; of what is left of another, all or nothing as before. */
function frozenBy(type: 'GrantFrozen' | 'GrantUnfrozen' | 'GrantRevoked', isWhole: boolean): string | undefined {
  if (type === 'GrantRevoked') return isWhole ? 'false' : undefined;
  return type === 'GrantFrozen' ? 'true' : 'false';
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
    // A frozen lot's time stands still.
    .where('frozen', '=', false)
    .orderBy('expires_at')
    .limit(limit)
    .execute();
  return rows.flatMap(({ available, expires_at: at }) => (at === null ? [] : [{ amount: microOf(available), at }]));
}
