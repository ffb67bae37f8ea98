import { describe, expect, it } from 'vitest';
import { findBehind } from '../../src/projections/checkpoints.ts';
import { project } from '../../src/projections/project.ts';
import { readAppliedPosition, writeAppliedPosition } from '../../src/projections/router-position.ts';
import { credits } from '../support/account-samples.ts';
import { type TestAccount, useLedger } from '../support/ledger.ts';
import { expectAsFolded, heads, projectFully, readModelRows } from './projecting.ts';

const bench = useLedger();

const projectNow = (...signals: { stream: string; revision: number }[]) => {
  const { db, store } = bench.ledger.context;
  return project(db, store, signals);
};

/** An account with so many uses after its grant: its last revision is one more than their number. */
async function used(user: string, uses: number): Promise<TestAccount> {
  const account = bench.ledger.account(user);
  await account.grant(credits(1_000_000));
  await Promise.all(Array.from({ length: uses }, () => account.use(credits(1))));
  return account;
}

describe('a projection', () => {
  it('applies each event once, however often it is signalled', async () => {
    const { stream } = await used('repeated', 4);
    expect(await projectNow({ stream, revision: 3 }, { stream, revision: 3 }, { stream, revision: 1 })).toMatchObject({
      applied: 4,
    });
    const before = await readModelRows(bench.database.superuser);
    expect(await projectNow({ stream, revision: 3 })).toEqual({ unfinished: [], parked: [], applied: 0 });
    expect(await projectNow({ stream, revision: 0 })).toMatchObject({ applied: 0 });
    expect(await readModelRows(bench.database.superuser)).toEqual(before);
    expect(await projectNow({ stream, revision: 5 })).toMatchObject({ applied: 2 });
  });

  it('fills gaps from the log', async () => {
    const { stream } = await used('gap', 5);
    await projectNow({ stream, revision: 1 });
    expect(await projectNow({ stream, revision: 6 })).toMatchObject({ applied: 5, unfinished: [] });
  });

  it('takes many streams in one go, each from where it stands', async () => {
    const signals = await Promise.all(
      [1, 3, 5].map(async (uses) => ({ stream: (await used(`one of many ${uses}`, uses)).stream, revision: uses + 1 })),
    );
    const [first] = signals;
    if (first !== undefined) await projectNow({ ...first, revision: 0 });
    expect(await projectNow(...signals.toReversed())).toEqual({ unfinished: [], parked: [], applied: 14 });
  });

  it('does nothing where nothing is signalled', async () => {
    expect(await projectNow()).toEqual({ unfinished: [], parked: [], applied: 0 });
  });

  it('brings a stream that is far behind there in several transactions, in order', async () => {
    const signals = await Promise.all(
      ['far', 'farther'].map(async (user) => ({ stream: (await used(user, 1_100)).stream, revision: 1_101 })),
    );
    expect(await projectNow(...signals)).toMatchObject({ applied: 1_000, unfinished: signals });
    expect(await projectNow(...signals)).toMatchObject({ applied: 1_000, unfinished: signals });
    expect(await projectNow(...signals)).toMatchObject({ applied: 204, unfinished: [] });
    await expectAsFolded(bench.ledger.context, bench.database.superuser);
  });

  it('takes fewer events of each stream at once where there are many', async () => {
    const accounts = await Promise.all(Array.from({ length: 25 }, (_, index) => used(`crowd ${index}`, 220)));
    const signals = accounts.map(({ stream }) => ({ stream, revision: 221 }));
    expect(await projectNow(...signals)).toMatchObject({ applied: 5_000, unfinished: signals });
    expect(await projectNow(...signals)).toMatchObject({ applied: 550, unfinished: [] });
  });

  it('rejects where the log can not be read, and applies nothing', async () => {
    const { stream } = await used('unread', 1);
    const readStreams = () => Promise.reject(new Error('the log is away'));
    const before = await readModelRows(bench.database.superuser);
    await expect(project(bench.ledger.context.db, { readStreams }, [{ stream, revision: 2 }])).rejects.toThrow('the log is away');
    expect(await readModelRows(bench.database.superuser)).toEqual(before);
  });
});

describe('several projectors at once', () => {
  it('apply each event once, in order, without waiting for one another in a circle', async () => {
    await projectFully(bench.ledger.context, await heads(bench.ledger.context));
    let events = 0;
    let applied = 0;
    for (let round = 0; round < 8; round += 1) {
      // In each round half of the streams are new, so that checkpoints are made and moved at the same time.
      const users = Array.from({ length: 24 }, (_, index) => `overlap ${round * 12 + index}`);
      const fresh = users.slice(round === 0 ? 0 : 12);
      const accounts = users.map((user) => bench.ledger.account(user));
      await Promise.all(fresh.map((user) => bench.ledger.account(user).grant(credits(10))));
      await Promise.all(accounts.map((account) => account.use(credits(1))));
      events += fresh.length * 2 + users.length;
      const names = new Set(accounts.map(({ stream }) => stream));
      const signals = (await heads(bench.ledger.context)).filter(({ stream }) => names.has(stream));
      const projectors = Array.from({ length: 6 }, (_, index) => {
        // Each in an order of its own, and each with a part only.
        const turned = [...signals.slice(index * 4), ...signals.slice(0, index * 4)];
        return projectFully(bench.ledger.context, (index % 2 === 0 ? turned : turned.toReversed()).slice(0, 16));
      });
      applied += (await Promise.all(projectors)).reduce((sum, one) => sum + one, 0);
    }
    expect(applied).toBe(events);
    await expectAsFolded(bench.ledger.context, bench.database.superuser);
  });
});

describe('what is behind', () => {
  it('is what was signalled and not applied', async () => {
    const { stream } = await used('behind', 2);
    const unknown = { stream: 'account-never applied', revision: 0 };
    await projectNow({ stream, revision: 1 });
    const ask = (revision: number) => findBehind(bench.ledger.context.db, [{ stream, revision }, unknown]);
    expect(await ask(1)).toEqual([unknown]);
    expect(await ask(2)).toEqual([{ stream, revision: 2 }, unknown]);
  });
});

it('the position up to which everything is applied never goes back', async () => {
  const { db } = bench.ledger.context;
  await writeAppliedPosition(db, '12');
  await writeAppliedPosition(db, '7');
  expect(await readAppliedPosition(db)).toBe('12');
});
