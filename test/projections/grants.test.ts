import { describe, expect, it } from 'vitest';
import { type Micro, ZERO } from '../../src/events/amounts.ts';
import { findExpiring } from '../../src/projections/grants.ts';
import { credits } from '../support/account-samples.ts';
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
