import { describe, expect, it } from 'vitest';
import { ZERO } from '../../src/events/amounts.ts';
import { findBalance, findDue } from '../../src/projections/balances.ts';
import { project } from '../../src/projections/project.ts';
import { credits, iso } from '../support/account-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { projectInCuts } from './projecting.ts';

const bench = useLedger();

const MINUTE = 60_000;
const NONE = { available: ZERO, frozen: ZERO, reserved: ZERO, debt: ZERO, earned: ZERO, spent: ZERO, dueAt: null };

describe.each([
  ['event by event', 1],
  ['all in one batch', 500],
])('balances, %s', (name, together) => {
  const user = (who: string) => `${who} ${name}`;
  const projected = async (stream: string) => projectInCuts(bench.ledger.context, stream, together);
  const balanceOf = (who: string) => findBalance(bench.ledger.context.db, user(who));

  it('are unknown where nothing was applied', async () => {
    expect(await balanceOf('nobody')).toBeUndefined();
  });

  it('are zero in an account that was opened', async () => {
    const account = bench.ledger.account(user('opened'));
    await account.execute({ type: 'OpenAccount', signupGrant: ZERO });
    await projected(account.stream);
    expect(await balanceOf('opened')).toEqual({ ...NONE, revision: 0 });
  });

  it('are those after the last event', async () => {
    const account = bench.ledger.account(user('busy'));
    await account.grant(credits(10));
    await account.use(credits(1));
    const committed = await account.reserve(credits(4));
    await account.commit(committed.revision, credits(3));
    const released = await account.reserve(credits(2));
    await account.release(released.revision);
    const open = await account.reserve(credits(5));
    await projected(account.stream);
    expect(await balanceOf('busy')).toEqual({
      ...NONE,
      available: credits(1),
      reserved: credits(5),
      earned: credits(10),
      spent: credits(4),
      dueAt: new Date(open.data.expiresAt),
      revision: open.revision,
    });
  });

  it('lose what has run out', async () => {
    const account = bench.ledger.account(user('late'));
    await account.grant(credits(3), { expiresAt: bench.ledger.context.clock.now() + 5 * MINUTE });
    await account.grant(credits(4));
    await account.reserve(credits(1), { ttl: 10 * MINUTE });
    bench.ledger.wait(11 * MINUTE);
    await account.expire();
    await projected(account.stream);
    expect(await balanceOf('late')).toMatchObject({ available: credits(4), reserved: ZERO, dueAt: null });
  });

  it('show what is frozen and what is owed', async () => {
    const account = bench.ledger.account(user('disputed'));
    const { revision } = await account.grant(credits(5));
    await account.use(credits(2));
    await account.execute({ type: 'FreezeGrant', grant: revision, reference: 'dp_1' });
    await projected(account.stream);
    expect(await balanceOf('disputed')).toMatchObject({ available: ZERO, frozen: credits(3), debt: ZERO });
    await account.execute({ type: 'RevokeGrant', grant: revision, amount: null, reference: 'dp_1' });
    await projected(account.stream);
    expect(await balanceOf('disputed')).toMatchObject({ available: ZERO, frozen: ZERO, debt: credits(2) });
  });

  it('say when the account was opened and when it last changed', async () => {
    const account = bench.ledger.account(user('dated'));
    const first = await account.grant(credits(3));
    bench.ledger.wait(MINUTE);
    const last = await account.use(credits(1));
    await projected(account.stream);
    const { db } = bench.ledger.context;
    const row = await db.selectFrom('balances').selectAll().where('user_id', '=', user('dated')).executeTakeFirstOrThrow();
    expect([row.opened_at.toISOString(), row.updated_at.toISOString()]).toEqual([first.metadata.at, last.metadata.at]);
  });
});

it('are not moved back where the log is projected anew', async () => {
  const { ledger, database } = bench;
  const account = ledger.account('again');
  await account.grant(credits(5));
  const last = await account.use(credits(2));
  await projectInCuts(ledger.context, account.stream, 500);
  // As a migration leaves it that empties all other read models.
  const emptied = ['checkpoints', 'transactions', 'grants', 'usage_stats', 'journal'];
  await database.superuser.query(`truncate ${emptied.map((table) => `read_model.${table}`).join(', ')}`);
  await project(ledger.context.db, ledger.context.store, [{ stream: account.stream, revision: 1 }]);
  expect(await findBalance(ledger.context.db, 'again')).toMatchObject({ available: credits(3), revision: last.revision });
  await projectInCuts(ledger.context, account.stream, 1);
  expect(await findBalance(ledger.context.db, 'again')).toMatchObject({ available: credits(3), revision: last.revision });
});

describe('what is due', () => {
  const MANY = 1_000;

  it('is found longest overdue first, with the time of the next', async () => {
    const { ledger } = bench;
    const names = ['due-second', 'due-first', 'due-later'];
    const ends = [20, 10, 40].map((minutes) => ledger.context.clock.now() + minutes * MINUTE);
    for (const [index, name] of names.entries()) {
      const account = ledger.account(name);
      await account.grant(credits(1), { expiresAt: ends[index] ?? null });
      await projectInCuts(ledger.context, account.stream, 500);
    }
    const found = await findDue(ledger.context.db, new Date(ends[0] ?? 0), MANY);
    expect(found.users.filter((user) => user.startsWith('due-'))).toEqual(['due-first', 'due-second']);
    expect(iso(found.next?.getTime() ?? 0)).toBe(iso(ends[2] ?? 0));
    const first = await findDue(ledger.context.db, new Date(ends[0] ?? 0), found.users.indexOf('due-first') + 1);
    expect(first.users.at(-1)).toBe('due-first');
  });
});
