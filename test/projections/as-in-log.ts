import type pg from 'pg';
import { expect } from 'vitest';
import type { Account } from '../../src/commands/account.ts';
import { accountDecider } from '../../src/commands/account-decider.ts';
import type { Context } from '../../src/context.ts';
import { type AccountEvent, userOfStream } from '../../src/events/account-events.ts';
import { isAccountEvent, readEvent, type Recorded } from '../../src/events/event-types.ts';
import { appOf } from '../../src/events/metadata.ts';
import { heads } from './projecting.ts';

/*
 * Read models held against what the accounts themselves make of the same log: other code, which knows no table.
 */

type Parts = Pick<Context, 'store'>;

/** Every account's events, and the account behind them. Projected to their ends before. */
export async function expectAsInLog(parts: Parts, superuser: pg.Client): Promise<void> {
  for (const { stream, revision } of await heads(parts)) {
    const userId = userOfStream(stream);
    if (userId === undefined) continue;
    const stored = await parts.store.readStream(stream, { limit: revision + 1 });
    const events = stored.map((one) => readEvent(one)).filter((event) => isAccountEvent(event));
    const account = events.reduce<Account>((state, event) => accountDecider.evolve(state, event), accountDecider.initialState);
    if (account.status !== 'open') throw new Error(`${stream} has events and is not open`);
    await expectBalances(superuser, userId, account);
    await expectLots(superuser, userId, account);
    await expectUsage(superuser, userId, events);
    await expectJournal(superuser, stream, account);
  }
  const { rows } = await superuser.query(
    'select sum(amount) as sum from read_model.journal, unnest(amounts) as amount having sum(amount) <> 0',
  );
  expect(rows).toEqual([]);
}

type Open = Extract<Account, { status: 'open' }>;

async function expectBalances(superuser: pg.Client, userId: string, { balances, revision }: Open): Promise<void> {
  const { rows } = await superuser.query(
    `select revision::float8, available::float8, frozen::float8, reserved::float8, debt::float8, earned::float8, spent::float8
     from read_model.balances where user_id = $1`,
    [userId],
  );
  const { available, frozen, reserved, debt, earned, spent } = balances;
  expect(rows).toEqual([{ revision, available, frozen, reserved, debt, earned, spent }]);
}

/** Lots and holds as the account has them, and no lot paid out more than it had. */
async function expectLots(superuser: pg.Client, userId: string, { lots, holds }: Open): Promise<void> {
  const standing = await superuser.query(
    `select revision::float8, available::float8 as free, held::float8, frozen, priority, expires_at
     from read_model.grants where user_id = $1 and (available <> 0 or held <> 0) order by revision`,
    [userId],
  );
  const left = lots.filter(({ free, held }) => free !== 0 || held !== 0);
  expect(standing.rows).toEqual(
    left
      .map(({ expiresAt, ...lot }) => ({ ...lot, expires_at: expiresAt === null ? null : new Date(expiresAt) }))
      .toSorted((a, b) => a.revision - b.revision),
  );
  const held = await superuser.query(
    `select revision::float8, amount::float8 from read_model.reservations where user_id = $1 and status = 'held' order by revision`,
    [userId],
  );
  expect(held.rows).toEqual(holds.map(({ revision, amount }) => ({ revision, amount })));
  const overdrawn = await superuser.query(
    'select * from read_model.grants where user_id = $1 and amount - available - held - used + given_back < 0',
    [userId],
  );
  expect(overdrawn.rows).toEqual([]);
}

/** Usage by app, operation and day, added up from the events one by one. */
async function expectUsage(superuser: pg.Client, userId: string, events: readonly Recorded<AccountEvent>[]): Promise<void> {
  const expected: Record<string, number[]> = {};
  const count = (event: Recorded<AccountEvent>, app: string, operation: string | null, amounts: readonly number[]) => {
    const key = [event.metadata.at.slice(0, 10), app, operation ?? ''].join('|');
    expected[key] = amounts.map((amount, index) => amount + (expected[key]?.[index] ?? 0));
  };
  for (const event of events) {
    if (event.type === 'CreditsConsumed') {
      const { amount, appId, operation, price, free, uncovered } = event.data;
      const app = appId ?? appOf(event.metadata.actor);
      count(event, app, operation, [1, amount, price?.quantity ?? 0, free?.units ?? 0, uncovered ?? 0, 0]);
    }
    if (event.type === 'CreditsRefunded') {
      const { amount, app, appId, operation } = event.data;
      count(event, appId ?? app, operation, [0, 0, 0, 0, 0, amount]);
    }
  }
  const { rows } = await superuser.query<{ key: string; amounts: string[] }>(
    `select concat_ws('|', day::text, app, operation) as key, array[uses, amount, quantity, free_units, uncovered, refunded] as amounts
     from read_model.usage_stats where user_id = $1`,
    [userId],
  );
  expect(Object.fromEntries(rows.map(({ key, amounts }) => [key, amounts.map(Number)]))).toEqual(expected);
}

/** Each event's legs sum to zero, and those of the stream's own accounts to its balances. */
async function expectJournal(superuser: pg.Client, stream: string, { balances }: Open): Promise<void> {
  const unbalanced = await superuser.query(
    'select revision from read_model.journal where stream = $1 and (select sum(amount) from unnest(amounts) as amount) <> 0',
    [stream],
  );
  expect(unbalanced.rows).toEqual([]);
  const { rows } = await superuser.query<{ account: string; sum: number }>(
    `select account, sum(amount)::float8 as sum from read_model.journal, unnest(accounts, amounts) as leg (account, amount)
     where stream = $1 and account in ('available', 'frozen', 'reserved', 'debt') group by account`,
    [stream],
  );
  const none = { available: 0, frozen: 0, reserved: 0, debt: 0 };
  const found = { ...none, ...Object.fromEntries(rows.map(({ account, sum }) => [account, sum])) };
  const { available, frozen, reserved, debt } = balances;
  expect(found).toEqual({ available, frozen, reserved, debt: debt === 0 ? 0 : -debt });
}
