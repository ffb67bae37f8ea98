import { describe, expect, it } from 'vitest';
import type { PricedUse } from '../../src/commands/price.ts';
import { minus, ZERO } from '../../src/events/amounts.ts';
import type { GrantSource } from '../../src/events/account-events.ts';
import { listTransactions, type TransactionRow, type TransactionsWanted } from '../../src/projections/transactions.ts';
import { credits, refund, use } from '../support/account-samples.ts';
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
        about: null,
        uncovered: null,
        cost: null,
        per: null,
        quantity: null,
        free_units: null,
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

  it('show a refund, and of what', async () => {
    const account = accountOf('refunded');
    await account.grant(credits(5));
    const used = await account.use(credits(4));
    await account.execute({ ...refund(used.revision, credits(3)), personal: 'sealed' });
    expect((await listed('refunded'))[2]).toMatchObject({
      type: 'refund',
      status: 'completed',
      amount: credits(3),
      balance_before: credits(1),
      balance_after: credits(4),
      about: used.revision,
      operation: 'chat',
      personal: 'sealed',
    });
  });

  it.each([
    ['gift_created', 'gift'],
    ['pool_funded', 'guild_funding'],
  ] as const)('show what went out for %s as %s', async (reason, type) => {
    await accountOf(reason).grant(credits(5));
    const debit = { type: 'DebitCredits', amount: credits(2), reason, reference: 'r1', appId: null, personal: null } as const;
    await accountOf(reason).execute(debit);
    expect((await listed(reason))[1]).toMatchObject({ type, amount: minus(ZERO, credits(2)), balance_after: credits(3) });
  });

  it('show what a dispute does to a grant', async () => {
    const account = accountOf('disputed');
    const { revision } = await account.grant(credits(5));
    const about = { grant: revision, reference: 'dp_1' };
    await account.execute({ type: 'FreezeGrant', ...about });
    await account.execute({ type: 'UnfreezeGrant', ...about });
    await account.execute({ type: 'RevokeGrant', ...about, amount: credits(2) });
    const seen = (await listed('disputed')).slice(1).map(({ type, amount, about }) => [type, amount, about]);
    expect(seen).toEqual([
      ['dispute', -credits(5), revision],
      ['dispute', credits(5), revision],
      ['dispute', -credits(2), revision],
    ]);
  });

  it('show by which price it was charged, what was free, and what nobody pays', async () => {
    const price: PricedUse = {
      app: 'writer',
      cost: credits(3),
      free: { period: 'day', uses: 2 },
      operation: 'chat',
      per: 2,
      quantity: 8,
      revision: 0,
    };
    await accountOf('priced').grant(credits(5));
    await accountOf('priced').execute({ ...use(ZERO), amount: price, observed: true });
    expect((await listed('priced'))[1]).toMatchObject({
      amount: minus(ZERO, credits(5)),
      cost: credits(3),
      per: 2,
      quantity: 8,
      free_units: 4,
      uncovered: credits(1),
    });
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

describe('lists of transactions', () => {
  const list = async (user: string, wanted: Partial<TransactionsWanted>) =>
    (await listTransactions(bench.ledger.context.db, user, { ...ALL, ...wanted })).map(({ revision }) => revision);

  it('are newest first, a page at a time', async () => {
    const account = bench.ledger.account('pages');
    await account.grant(credits(9));
    for (let count = 0; count < 4; count += 1) await account.use(credits(1));
    await projectInCuts(bench.ledger.context, account.stream, 500);
    expect(await list('pages', { limit: 2 })).toEqual([5, 4]);
    expect(await list('pages', { limit: 2, offset: 2 })).toEqual([3, 2]);
    expect(await list('pages', { limit: 2, offset: 4 })).toEqual([1]);
    expect(await list('pages', { limit: 2, before: 4 })).toEqual([3, 2]);
    expect(await list('pages', { limit: 1, offset: 1, before: 4 })).toEqual([2]);
    expect(await list('pages', { before: 1 })).toEqual([]);
  });

  it('show one type, one label or else app, and a time from its beginning up to its end', async () => {
    const account = bench.ledger.account('narrowed');
    const { metadata } = await account.grant(credits(9));
    bench.ledger.wait(MINUTE);
    const first = await account.use(credits(1));
    bench.ledger.wait(MINUTE);
    await bench.ledger.account('narrowed', 'painter').execute({ ...use(credits(1)), appId: null });
    bench.ledger.wait(MINUTE);
    const last = await account.reserve(credits(1));
    await projectInCuts(bench.ledger.context, account.stream, 500);
    const at = (event: { metadata: { at: string } }) => new Date(event.metadata.at);
    expect(await list('narrowed', { type: 'usage' })).toEqual([3, 2]);
    expect(await list('narrowed', { app: 'label' })).toEqual([4, 2]);
    expect(await list('narrowed', { app: 'painter' })).toEqual([3]);
    // The grant has no label; what has one is not found by its app.
    expect(await list('narrowed', { app: 'writer' })).toEqual([1]);
    expect(await list('narrowed', { from: at(first) })).toEqual([4, 3, 2]);
    expect(await list('narrowed', { until: at(last) })).toEqual([3, 2, 1]);
    expect(await list('narrowed', { from: at(first), until: at(last), type: 'usage', app: 'label' })).toEqual([2]);
    expect(await list('narrowed', { from: at({ metadata }), until: at({ metadata }) })).toEqual([]);
  });
});
