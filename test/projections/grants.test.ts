import { describe, expect, it } from 'vitest';
import { type Micro, ZERO } from '../../src/events/amounts.ts';
import { findExpiring } from '../../src/projections/grants.ts';
import { credits, refund } from '../support/account-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { projectInCuts } from './projecting.ts';

const bench = useLedger();

const MINUTE = 60_000;
const soon = (minutes: number) => bench.ledger.context.clock.now() + minutes * MINUTE;

describe.each([
  ['event by event', 1],
  ['all in one batch', 500],
])('grants, %s', (name, together) => {
  const accountOf = (who: string) => bench.ledger.account(`${who} ${name}`);
  const rowsOf = async (who: string) => {
    const { db } = bench.ledger.context;
    await projectInCuts(bench.ledger.context, accountOf(who).stream, together);
    return db.selectFrom('grants').selectAll().where('user_id', '=', `${who} ${name}`).orderBy('revision').execute();
  };
  /** What is left of each grant, oldest first: what can be spent, and what is held. */
  const leftOf = async (who: string): Promise<readonly (readonly [Micro, Micro])[]> =>
    (await rowsOf(who)).map(({ available, held }) => [Number(available) as Micro, Number(held) as Micro]);

  it('show what they were given for', async () => {
    const expiresAt = soon(30);
    const event = await accountOf('given').grant(credits(5), {
      source: 'gift',
      reason: 'party',
      reference: 'r7',
      priority: 9,
      expiresAt,
    });
    expect(await rowsOf('given')).toEqual([
      {
        user_id: `given ${name}`,
        revision: '1',
        source: 'gift',
        reason: 'party',
        reference: 'r7',
        amount: String(credits(5)),
        available: String(credits(5)),
        held: '0',
        paid_cents: null,
        frozen: false,
        revoked: '0',
        used: '0',
        given_back: '0',
        uses: '0',
        priority: 9,
        expires_at: new Date(expiresAt),
        created_at: new Date(event.metadata.at),
      },
    ]);
  });

  it('are used in the order in which they are spent', async () => {
    const account = accountOf('used');
    await account.grant(credits(5));
    await account.grant(credits(2), { priority: 1 });
    await account.use(credits(3));
    expect(await leftOf('used')).toEqual([
      [credits(4), ZERO],
      [ZERO, ZERO],
    ]);
  });

  it('keep what holds took, give back what they did not, and cover what they took beyond', async () => {
    const account = accountOf('held');
    await account.grant(credits(9));
    await account.reserve(credits(1));
    const less = await account.reserve(credits(3));
    await account.commit(less.revision, credits(2));
    const more = await account.reserve(credits(1));
    await account.commit(more.revision, credits(2));
    const none = await account.reserve(credits(2));
    await account.release(none.revision);
    expect(await leftOf('held')).toEqual([[credits(4), credits(1)]]);
  });

  it('lose what has run out, but for what holds keep of it', async () => {
    const account = accountOf('lapsing');
    await account.grant(credits(5), { expiresAt: soon(5) });
    const settled = await account.reserve(credits(1));
    await account.reserve(credits(1));
    bench.ledger.wait(6 * MINUTE);
    await account.expire();
    await account.release(settled.revision);
    expect(await leftOf('lapsing')).toEqual([[ZERO, credits(1)]]);
  });

  it('get back what a hold kept that ran out, and lose it where they have run out themselves', async () => {
    const account = accountOf('both');
    await account.grant(credits(2), { expiresAt: soon(5) });
    await account.grant(credits(2));
    await account.reserve(credits(3), { ttl: 10 * MINUTE });
    bench.ledger.wait(11 * MINUTE);
    await account.expire();
    expect(await leftOf('both')).toEqual([
      [ZERO, ZERO],
      [credits(2), ZERO],
    ]);
  });

  it('lapse with a commit of less', async () => {
    const account = accountOf('lapsed');
    await account.grant(credits(4), { expiresAt: soon(5) });
    const hold = await account.reserve(credits(3));
    bench.ledger.wait(6 * MINUTE);
    await account.commit(hold.revision, credits(1));
    expect(await leftOf('lapsed')).toEqual([[ZERO, ZERO]]);
  });

  it('say what they have paid for, and what of it came back to them', async () => {
    const account = accountOf('paying');
    await account.grant(credits(3));
    await account.grant(credits(5));
    await account.use(credits(1));
    const used = await account.use(credits(4));
    await account.execute(refund(used.revision, credits(3)));
    const paid = (await rowsOf('paying')).map((row) => [row.used, row.given_back, row.uses, row.available].map(Number));
    // The last taken comes back first: two of the second grant, then one of the first.
    expect(paid).toEqual([
      [credits(3), credits(1), 2, credits(1)],
      [credits(2), credits(2), 1, credits(5)],
    ]);
  });

  it('count a commit once that takes of what was held and of what was not', async () => {
    const account = accountOf('beyond');
    await account.grant(credits(9));
    const hold = await account.reserve(credits(2));
    await account.commit(hold.revision, credits(5));
    expect(await rowsOf('beyond')).toMatchObject([{ used: String(credits(5)), uses: '1', available: String(credits(4)) }]);
  });

  it('begin with a refund where the lot that paid has run out', async () => {
    const account = accountOf('fresh');
    // Nothing sells yet; what a purchase will write is known.
    const bought = { expiresAt: soon(5), source: 'purchase', paidCents: 499 } as const;
    await account.grant(credits(4), bought);
    const used = await account.use(credits(3));
    bench.ledger.wait(6 * MINUTE);
    const outcome = await account.execute(refund(used.revision, credits(2)));
    if (outcome.kind !== 'accepted' || outcome.event.type !== 'CreditsRefunded') throw new Error('no refund');
    const [spent, back] = await rowsOf('fresh');
    expect(spent).toMatchObject({ paid_cents: '499', available: '0', used: String(credits(3)), given_back: '0' });
    expect(back).toMatchObject({
      revision: String(outcome.event.revision),
      source: 'refund',
      reason: 'refund',
      reference: expect.stringContaining(`txn_${used.revision}_`),
      amount: String(credits(2)),
      available: String(credits(2)),
      paid_cents: null,
      expires_at: new Date(outcome.event.data.fresh?.expiresAt ?? 0),
    });
  });

  it('are frozen with what they have, run out neither then nor in lists, and go on after that', async () => {
    const account = accountOf('frozen');
    const { revision } = await account.grant(credits(4), { expiresAt: soon(5) });
    const about = { grant: revision, reference: 'dp_1' };
    await account.execute({ type: 'FreezeGrant', ...about });
    bench.ledger.wait(6 * MINUTE);
    await account.expire();
    expect(await rowsOf('frozen')).toMatchObject([{ available: String(credits(4)), frozen: true, revoked: '0' }]);
    expect(await findExpiring(bench.ledger.context.db, `frozen ${name}`, 10)).toEqual([]);
    const outcome = await account.execute({ type: 'UnfreezeGrant', ...about });
    if (outcome.kind !== 'accepted' || outcome.event.type !== 'GrantUnfrozen') throw new Error('no thaw');
    const end = new Date(outcome.event.data.expiresAt ?? 0);
    expect(await rowsOf('frozen')).toMatchObject([{ available: String(credits(4)), frozen: false, expires_at: end }]);
    expect(end.getTime()).toBeGreaterThan(bench.ledger.context.clock.now());
    expect(await findExpiring(bench.ledger.context.db, `frozen ${name}`, 10)).toEqual([{ amount: credits(4), at: end }]);
  });

  it('stay frozen when a part is taken back, and are so no longer when all is', async () => {
    const account = accountOf('revoked');
    const { revision } = await account.grant(credits(4));
    const about = { grant: revision, reference: 'dp_1' };
    await account.execute({ type: 'FreezeGrant', ...about });
    await account.execute({ type: 'RevokeGrant', ...about, amount: credits(1) });
    expect(await rowsOf('revoked')).toMatchObject([{ available: String(credits(3)), frozen: true, revoked: String(credits(1)) }]);
    await account.execute({ type: 'RevokeGrant', ...about, amount: null });
    expect(await rowsOf('revoked')).toMatchObject([{ available: '0', frozen: false, revoked: String(credits(4)) }]);
  });

  it('pay what is owed as they come', async () => {
    const account = accountOf('owing');
    const { revision } = await account.grant(credits(4));
    await account.use(credits(3));
    await account.execute({ type: 'RevokeGrant', grant: revision, reference: 're_1', amount: null });
    await account.grant(credits(5));
    expect(await rowsOf('owing')).toMatchObject([
      { available: '0', revoked: String(credits(4)), used: String(credits(3)) },
      { available: String(credits(2)), amount: String(credits(5)), used: '0' },
    ]);
  });

  it('tell what runs out and when, soonest first', async () => {
    const account = accountOf('ending');
    const [later, sooner] = [soon(50), soon(20)];
    await account.grant(credits(3), { expiresAt: later });
    await account.grant(credits(2), { expiresAt: sooner });
    await account.grant(credits(1), { expiresAt: soon(10), priority: 1 });
    await account.grant(credits(7));
    await account.use(credits(2));
    await rowsOf('ending');
    const found = (limit: number) => findExpiring(bench.ledger.context.db, `ending ${name}`, limit);
    const first = { amount: credits(1), at: new Date(sooner) };
    expect(await found(10)).toEqual([first, { amount: credits(3), at: new Date(later) }]);
    expect(await found(1)).toEqual([first]);
  });
});
