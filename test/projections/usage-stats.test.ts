import { describe, expect, it } from 'vitest';
import type { PricedUse } from '../../src/commands/price.ts';
import { type Micro, ZERO } from '../../src/events/amounts.ts';
import { findUsage, type Grouping } from '../../src/projections/usage-stats.ts';
import { credits, refund, use } from '../support/account-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { projectInCuts } from './projecting.ts';

const bench = useLedger();

const DAY = 24 * 60 * 60_000;
const NONE = { uses: 0, amount: ZERO, quantity: 0, freeUnits: 0, uncovered: ZERO, refunded: ZERO };
const ALWAYS = { from: '2000-01-01', to: '2999-12-31', limit: 100 };
const PRICE: PricedUse = {
  app: 'writer',
  cost: credits(2),
  free: { period: 'lifetime', uses: 3 },
  operation: 'draw',
  per: 1,
  quantity: 5,
  revision: 7,
};

describe.each([
  ['event by event', 1],
  ['all in one batch', 500],
])('usage, %s', (name, together) => {
  const accountOf = (who: string, app?: string) => bench.ledger.account(`${who} ${name}`, app);
  const usageOf = async (who: string, groupBy: Grouping, range: Partial<typeof ALWAYS> = {}) => {
    await projectInCuts(bench.ledger.context, accountOf(who).stream, together);
    return findUsage(bench.ledger.context.db, `${who} ${name}`, { ...ALWAYS, ...range, groupBy });
  };
  const dayNow = () => new Date(bench.ledger.context.clock.now()).toISOString().slice(0, 10);

  it('is nothing where nothing was used', async () => {
    await accountOf('idle').grant(credits(5));
    expect(await usageOf('idle', 'day')).toEqual({ total: NONE, groups: [] });
  });

  it('counts uses and commits, and not what was only held', async () => {
    const account = accountOf('busy');
    await account.grant(credits(20));
    await account.use(credits(2));
    await account.commit((await account.reserve(credits(5))).revision, credits(3));
    await account.release((await account.reserve(credits(5))).revision);
    await account.reserve(credits(1));
    const usage = { ...NONE, uses: 2, amount: credits(5) };
    expect(await usageOf('busy', 'operation')).toEqual({
      total: usage,
      groups: [{ ...usage, day: null, app: 'label', operation: 'chat' }],
    });
  });

  it('is filed under the label, or the app that acted; what took most comes first', async () => {
    await accountOf('apps').grant(credits(20));
    await accountOf('apps').use(credits(1));
    const plain = { ...use(credits(4)), appId: null, operation: null };
    await accountOf('apps', 'painter').execute(plain);
    await accountOf('apps', 'painter').execute({ ...plain, operation: 'draw' });
    const group = (app: string, operation: string | null, uses: number, amount: Micro) => {
      return { ...NONE, day: null, app, operation, uses, amount };
    };
    expect((await usageOf('apps', 'app')).groups).toEqual([
      group('painter', null, 2, credits(8)),
      group('label', null, 1, credits(1)),
    ]);
    // Of the same amount, by name: an operation that was not named comes last.
    expect((await usageOf('apps', 'operation')).groups).toEqual([
      group('painter', 'draw', 1, credits(4)),
      group('painter', null, 1, credits(4)),
      group('label', 'chat', 1, credits(1)),
    ]);
  });

  it('counts units, free ones among them, and what nobody pays', async () => {
    await accountOf('units').grant(credits(5));
    await accountOf('units').execute({ ...use(ZERO), amount: PRICE });
    await accountOf('units').execute({ ...use(ZERO), amount: PRICE, observed: true });
    const { total } = await usageOf('units', 'day');
    // Two units of the first five are paid for, all five of the second: one credit of ten is there.
    expect(total).toEqual({ ...NONE, uses: 2, amount: credits(5), quantity: 10, freeUnits: 3, uncovered: credits(9) });
  });

  it('counts what comes back on the day on which it does, where it was used', async () => {
    const account = accountOf('failed');
    await account.grant(credits(9));
    const before = dayNow();
    const used = await account.use(credits(6));
    bench.ledger.wait(DAY);
    const after = dayNow();
    await accountOf('failed', 'repairer').execute(refund(used.revision, credits(4)));
    expect((await usageOf('failed', 'day')).groups).toEqual([
      { ...NONE, day: after, app: null, operation: null, refunded: credits(4) },
      { ...NONE, day: before, app: null, operation: null, uses: 1, amount: credits(6) },
    ]);
    expect((await usageOf('failed', 'operation')).groups).toEqual([
      { ...NONE, day: null, app: 'label', operation: 'chat', uses: 1, amount: credits(6), refunded: credits(4) },
    ]);
  });

  it('is shown from a day to a day, both included, and no more groups than asked for; the total is whole', async () => {
    const account = accountOf('days');
    await account.grant(credits(9));
    const days: string[] = [];
    for (let count = 0; count < 4; count += 1) {
      days.push(dayNow());
      await account.use(credits(1));
      bench.ledger.wait(DAY);
    }
    const range = { from: days[1] ?? '', to: days[2] ?? '' };
    expect((await usageOf('days', 'day', range)).groups.map(({ day }) => day)).toEqual([days[2], days[1]]);
    const { total, groups } = await usageOf('days', 'day', { limit: 2 });
    expect(total).toMatchObject({ uses: 4, amount: credits(4) });
    expect(groups.map(({ day }) => day)).toEqual([days[3], days[2]]);
  });
});
