import { describe, expect, it } from 'vitest';
import { minus, ZERO } from '../../src/events/amounts.ts';
import type { GrantSource } from '../../src/events/account-events.ts';
import { listTransactions, type TransactionRow } from '../../src/projections/transactions.ts';
import { credits } from '../support/account-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { projectInCuts } from './projecting.ts';

const bench = useLedger();

const MINUTE = 60_000;
const ALL = { limit: 100, offset: 0 };

describe.each([
  ['event by event', 1],
  ['all in one batch', 500],
])('transactions, %s', (name, together) => {
  const accountOf = (who: string) => bench.ledger.account(`${who} ${name}`);
  /** A user's transactions, oldest first. */
  const listed = async (who: string): Promise<readonly TransactionRow[]> => {
    await projectInCuts(bench.ledger.context, accountOf(who).stream, together);
    return (await listTransactions(bench.ledger.context.db, `${who} ${name}`, ALL)).toReversed();
  };

  it('leave out that an account was opened', async () => {
    await accountOf('opened').execute({ type: 'OpenAccount', signupGrant: ZERO });
    expect(await listed('opened')).toEqual([]);
  });

  it.each([
    ['promo', 'grant'],
    ['signup', 'grant'],
    ['goodwill', 'refund'],
    ['adjustment', 'adjustment'],
    ['purchase', 'purchase'],
    ['gift', 'gift'],
  ] satisfies [GrantSource, string][])('show a grant from %s as %s', async (source, type) => {
    const event = await accountOf(source).grant(credits(2), { source, appId: 'label', personal: 'sealed' });
    expect(await listed(source)).toEqual([
      {
        user_id: `${source} ${name}`,
        revision: event.revision,
        type,
        status: 'completed',
        amount: credits(2),
        balance_before: ZERO,
        balance_after: credits(2),
        app: 'writer',
        app_id: 'label',
        operation: null,
        reservation: null,
        idempotency_key: event.metadata.idempotencyKey,
        personal: 'sealed',
        created_at: event.metadata.at,
        completed_at: event.metadata.at,
      },
    ]);
  });

  it('show a use', async () => {
    await accountOf('used').grant(credits(5));
    await accountOf('used').use(credits(2));
    expect((await listed('used'))[1]).toMatchObject({
      type: 'usage',
      status: 'completed',
      amount: minus(ZERO, credits(2)),
      balance_before: credits(5),
      balance_after: credits(3),
      operation: 'chat',
      reservation: null,
    });
  });

  it('leave a hold pending until it is settled', async () => {
    await accountOf('holding').grant(credits(5));
    await accountOf('holding').reserve(credits(2));
    expect((await listed('holding'))[1]).toMatchObject({
      type: 'reserve',
      status: 'pending',
      amount: minus(ZERO, credits(2)),
      balance_before: credits(5),
      balance_after: credits(3),
      completed_at: null,
    });
  });

  it('complete a hold with its commit', async () => {
    const account = accountOf('committed');
    await account.grant(credits(5));
    const hold = await account.reserve(credits(3));
    bench.ledger.wait(MINUTE);
    const taken = await account.commit(hold.revision, credits(2));
    const [, reserve, usage] = await listed('committed');
    expect(reserve).toMatchObject({ status: 'completed', completed_at: taken.metadata.at });
    expect(usage).toMatchObject({
      type: 'usage',
      amount: minus(ZERO, credits(2)),
      // A credit of the hold came back, so that the balance went up.
      balance_before: credits(2),
      balance_after: credits(3),
      reservation: hold.revision,
    });
  });

  it('cancel a hold with its release', async () => {
    const account = accountOf('released');
    await account.grant(credits(5));
    const hold = await account.reserve(credits(3));
    bench.ledger.wait(MINUTE);
    const freed = await account.release(hold.revision);
    const [, reserve, release] = await listed('released');
    expect(reserve).toMatchObject({ status: 'cancelled', completed_at: freed.metadata.at });
    expect(release).toMatchObject({ type: 'release', amount: credits(3), balance_after: credits(5), reservation: hold.revision });
  });

  it('cancel a hold at its end, and leave it cancelled when it is committed late', async () => {
    const account = accountOf('late');
    await account.grant(credits(5));
    const hold = await account.reserve(credits(3), { ttl: MINUTE });
    bench.ledger.wait(2 * MINUTE);
    await account.expire();
    bench.ledger.wait(MINUTE);
    await account.commit(hold.revision, credits(2));
    const [, reserve, expiry, usage] = await listed('late');
    expect(expiry).toMatchObject({ type: 'expiry', app: 'system', amount: credits(3), idempotency_key: null });
    expect(reserve).toMatchObject({ status: 'cancelled', completed_at: expiry?.created_at });
    expect(usage).toMatchObject({ type: 'usage', status: 'completed', reservation: hold.revision, balance_after: credits(3) });
  });

  it('count what lapsed as lost', async () => {
    const account = accountOf('lapsed');
    await account.grant(credits(5), { expiresAt: bench.ledger.context.clock.now() + MINUTE });
    const hold = await account.reserve(credits(3));
    bench.ledger.wait(2 * MINUTE);
    await account.release(hold.revision);
    const [, , expiry, release] = await listed('lapsed');
    expect(expiry).toMatchObject({
      type: 'expiry',
      amount: minus(ZERO, credits(2)),
      balance_before: credits(2),
      balance_after: ZERO,
    });
    expect(release).toMatchObject({ type: 'release', amount: ZERO, balance_before: ZERO, balance_after: ZERO });
  });
});

it('are listed newest first, a page at a time', async () => {
  const account = bench.ledger.account('pages');
  await account.grant(credits(9));
  for (let count = 0; count < 4; count += 1) await account.use(credits(1));
  await projectInCuts(bench.ledger.context, account.stream, 500);
  const page = async (limit: number, offset: number) =>
    (await listTransactions(bench.ledger.context.db, 'pages', { limit, offset })).map(({ revision }) => revision);
  expect(await page(2, 0)).toEqual([5, 4]);
  expect(await page(2, 2)).toEqual([3, 2]);
  expect(await page(2, 4)).toEqual([1]);
});
