import { describe, expect, it } from 'vitest';
import { type Micro, ZERO } from '../../src/events/amounts.ts';
import { explainBalance, type Explained } from '../../src/projections/explain.ts';
import { credits, refund, use } from '../support/account-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { projectInCuts } from './projecting.ts';

const bench = useLedger();

const MINUTE = 60_000;
const LIMITS = { holds: 100, lookedThrough: 1_000 };

async function explained(user: string, limits = LIMITS): Promise<Explained> {
  await projectInCuts(bench.ledger.context, bench.ledger.account(user).stream, 500);
  const found = await explainBalance(bench.ledger.context.db, user, limits);
  if (found === undefined) throw new Error(`${user} is not known`);
  return found;
}

const paid = (app: string, operation: string | null, uses: number, used: Micro, givenBack = ZERO) => {
  return { app, operation, uses, used, givenBack };
};

describe('what explains a balance', () => {
  it('is nothing where nobody knows the user', async () => {
    expect(await explainBalance(bench.ledger.context.db, 'nobody', LIMITS)).toBeUndefined();
  });

  it('is each lot that something is left of, in the order in which they are spent', async () => {
    const account = bench.ledger.account('lots');
    const spent = await account.grant(credits(1), { priority: 1 });
    const last = await account.grant(credits(2), { personal: 'sealed' });
    const soon = await account.grant(credits(3), { expiresAt: bench.ledger.context.clock.now() + 50 * MINUTE });
    const first = await account.grant(credits(4), { priority: 9 });
    await account.use(credits(1));
    const { lots, balance } = await explained('lots');
    expect(lots.map(({ revision }) => revision)).toEqual([first.revision, soon.revision, last.revision]);
    expect(lots.map(({ revision }) => revision)).not.toContain(spent.revision);
    expect(lots.map(({ left }) => left)).toEqual([credits(4), credits(3), credits(2)]);
    expect(lots[2]).toMatchObject({ personal: 'sealed', createdAt: new Date(last.metadata.at), expiresAt: null });
    expect(balance.available).toBe(credits(9));
  });

  it('tells by app and operation what each lot has paid for, who took most first', async () => {
    const account = bench.ledger.account('paying');
    await account.grant(credits(4), { priority: 1 });
    await account.grant(credits(20));
    await account.use(credits(1));
    const painter = bench.ledger.account('paying', 'painter');
    const drawn = { ...use(credits(7)), appId: null, operation: 'draw' };
    await painter.execute(drawn);
    await account.use(credits(1));
    // Whoever repairs it, it counts for whom it was used.
    const last = await account.use(credits(2));
    await bench.ledger.account('paying', 'repairer').execute(refund(last.revision, credits(1)));
    const { lots } = await explained('paying');
    expect(lots.map(({ paidFor }) => paidFor)).toEqual([
      [paid('painter', 'draw', 1, credits(4)), paid('label', 'chat', 2, credits(3), credits(1))],
    ]);
    expect(lots[0]).toMatchObject({ amount: credits(20), left: credits(14), used: credits(7), givenBack: credits(1), uses: 3 });
  });

  it('looks back so far and no further; the sums of the lot are whole', async () => {
    const account = bench.ledger.account('long');
    await account.grant(credits(50));
    for (let count = 0; count < 6; count += 1) await account.use(credits(1));
    const { lots } = await explained('long', { ...LIMITS, lookedThrough: 2 });
    expect(lots[0]).toMatchObject({ used: credits(6), uses: 6, paidFor: [paid('label', 'chat', 2, credits(2))] });
  });

  it('is what holds keep, soonest end first, and how many there are', async () => {
    const account = bench.ledger.account('holding');
    await account.grant(credits(9));
    const [later, sooner] = [await account.reserve(credits(1), { ttl: 20 * MINUTE }), await account.reserve(credits(2))];
    await account.release((await account.reserve(credits(3))).revision);
    expect(await explained('holding')).toMatchObject({
      holds: [{ revision: sooner.revision, amount: credits(2) }, { revision: later.revision }],
      holdCount: 2,
      lots: [{ left: credits(6), held: credits(3) }],
    });
    expect(await explained('holding', { ...LIMITS, holds: 1 })).toMatchObject({
      holds: [{ revision: sooner.revision }],
      holdCount: 2,
    });
  });

  it('keeps a lot that only a hold is left of, and a frozen one', async () => {
    const account = bench.ledger.account('doubtful');
    const { revision } = await account.grant(credits(2));
    await account.reserve(credits(1));
    await account.execute({ type: 'FreezeGrant', grant: revision, reference: 'dp_1' });
    const other = await account.grant(credits(3));
    await account.reserve(credits(3));
    const { lots, balance } = await explained('doubtful');
    expect(lots).toMatchObject([
      { revision, left: credits(1), held: credits(1), frozen: true },
      { revision: other.revision, left: ZERO, held: credits(3), frozen: false },
    ]);
    expect(balance).toMatchObject({ available: ZERO, frozen: credits(1), reserved: credits(4) });
  });
});
