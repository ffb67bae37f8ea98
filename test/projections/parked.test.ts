import { describe, expect, it } from 'vitest';
import { findBalance, findDue } from '../../src/projections/balances.ts';
import { StreamGoneError } from '../../src/events/store.ts';
import { appliedRevision, countParked, findBehind, findParked } from '../../src/projections/checkpoints.ts';
import { project } from '../../src/projections/project.ts';
import { credits } from '../support/account-samples.ts';
import { type TestAccount, useLedger } from '../support/ledger.ts';
import { expectAsFolded, projectFully } from './projecting.ts';
import { tamper, UNFIT } from './tampering.ts';

const bench = useLedger();

const MINUTE = 60_000;
const projectNow = (...signals: { stream: string; revision: number }[]) => {
  const { db, store } = bench.ledger.context;
  return project(db, store, signals);
};
const applied = (stream: string) => appliedRevision(bench.ledger.context.db, stream);

/** An account that was opened, granted credits, and used them so many times: the uses are revisions 2 and on. */
async function used(user: string, uses: number): Promise<TestAccount> {
  const account = bench.ledger.account(user);
  await account.grant(credits(10_000), { expiresAt: bench.ledger.context.clock.now() + 1_000 * MINUTE });
  for (let left = uses; left > 0; left -= 100) {
    await Promise.all(Array.from({ length: Math.min(left, 100) }, () => account.use(credits(1))));
  }
  return account;
}

describe.each(UNFIT)('an event %s', (name, change, error) => {
  const BAD = 4;

  it('parks its stream, with all before it applied, and holds nobody else up', async () => {
    const { superuser } = bench.database;
    const { db } = bench.ledger.context;
    const { stream } = await used(`bad ${name}`, 6);
    const others = await Promise.all([1, 2, 3].map((index) => used(`good ${index} ${name}`, 2)));
    const mend = await tamper(superuser, stream, BAD, change);
    const signals = [...others.map((other) => ({ stream: other.stream, revision: 3 })), { stream, revision: 6 }];

    await projectFully({ ...bench.ledger.context }, signals);
    expect(await applied(stream)).toBe(BAD - 1);
    expect(await findBalance(db, `bad ${name}`)).toMatchObject({ revision: BAD - 1 });
    for (const other of others) expect(await applied(other.stream)).toBe(3);
    expect(await findParked(db, 10)).toEqual([{ stream, revision: BAD }]);
    expect(await countParked(db)).toBe(1);
    const { rows } = await superuser.query<{ error: string }>('select error from read_model.parked');
    expect(rows[0]?.error).toMatch(error);
    // Who follows the log does not wait for it.
    expect(await findBehind(db, signals)).toEqual([]);

    // It stays where it is as long as nothing has changed.
    expect(await projectNow({ stream, revision: 7 })).toMatchObject({ applied: 0, parked: [{ stream, revision: BAD }] });
    expect(await findParked(db, 10)).toEqual([{ stream, revision: BAD }]);

    // Then it is brought to its head, whatever was signalled: the signals of the rest are long gone.
    await mend();
    expect(await projectNow({ stream, revision: BAD })).toEqual({ unfinished: [], parked: [], applied: 4 });
    expect(await applied(stream)).toBe(7);
    expect(await countParked(db)).toBe(0);
    await expectAsFolded(bench.ledger.context, superuser);
  });
});

describe('a stream without what was signalled of it', () => {
  it('is parked where it ends, and holds nobody else up; what is written later is applied', async () => {
    const { db, store } = bench.ledger.context;
    const [short, other] = await Promise.all([used('short', 1), used('other', 2)]);
    const signals = [
      { stream: short.stream, revision: 5 },
      { stream: other.stream, revision: 3 },
    ];
    // What there is of it is applied first; the next signal finds nothing.
    await project(db, store, signals);
    await project(db, store, signals);
    expect(await Promise.all([applied(short.stream), applied(other.stream)])).toEqual([2, 3]);
    expect(await findParked(db, 10)).toEqual([{ stream: short.stream, revision: 3 }]);
    expect(await findBehind(db, signals)).toEqual([]);
    await short.use(credits(1));
    await project(db, store, [{ stream: short.stream, revision: 3 }]);
    expect(await applied(short.stream)).toBe(3);
    expect(await countParked(db)).toBe(0);
  });

  it('is parked where the store says that it was deleted', async () => {
    const { db, store } = bench.ledger.context;
    const [gone, other] = await Promise.all([used('gone', 1), used('beside', 2)]);
    const readStreams: typeof store.readStreams = async (ranges) => {
      if (ranges.some(({ stream }) => stream === gone.stream)) throw new StreamGoneError('it was deleted');
      return store.readStreams(ranges);
    };
    const signals = [gone, other].map(({ stream }, index) => ({ stream, revision: 2 + index }));
    await project(db, { readStreams }, signals);
    expect(await Promise.all([applied(gone.stream), applied(other.stream)])).toEqual([-1, 3]);
    expect(await findParked(db, 10)).toEqual([{ stream: gone.stream, revision: 0 }]);
    await project(db, store, signals);
    expect(await countParked(db)).toBe(0);
  });
});

describe('a parked stream', () => {
  it('is looked at once more when it is let go: what was signalled meanwhile nobody signals again', async () => {
    const { db, store } = bench.ledger.context;
    const account = await used('meanwhile', 2);
    const { stream } = account;
    const mend = await tamper(bench.database.superuser, stream, 3, { type: 'FromTheFuture' });
    await projectNow({ stream, revision: 3 });
    await mend();
    let reads = 0;
    const readStreams: typeof store.readStreams = async (ranges) => {
      const found = await store.readStreams(ranges);
      reads += 1;
      // Written behind the head that this very reading has found; its signal is passed over, since the stream is parked.
      if (reads === 1) await account.use(credits(1));
      return found;
    };
    expect(await project(db, { readStreams }, [{ stream, revision: 3 }])).toEqual({ unfinished: [], parked: [], applied: 2 });
    expect(await applied(stream)).toBe(4);
    expect(await countParked(db)).toBe(0);
  });

  it('stays parked until it has caught up, so that whoever ends in between leaves it to be found', async () => {
    const { db } = bench.ledger.context;
    const { stream } = await used('far behind', 800);
    const mend = await tamper(bench.database.superuser, stream, 1, { type: 'FromTheFuture' });
    await projectNow({ stream, revision: 801 });
    await mend();
    const signal = { stream, revision: 1 };
    expect(await projectNow(signal)).toEqual({ unfinished: [signal], parked: [], applied: 500 });
    expect(await countParked(db)).toBe(1);
    expect(await projectNow(signal)).toEqual({ unfinished: [], parked: [], applied: 301 });
    expect(await countParked(db)).toBe(0);
  });

  it('is let go where there was nothing left to apply', async () => {
    const { db } = bench.ledger.context;
    const { stream } = await used('false alarm', 1);
    await projectNow({ stream, revision: 2 });
    await bench.database.superuser.query('insert into read_model.parked (stream, revision, error) values ($1, 2, $2)', [
      stream,
      'none',
    ]);
    expect(await projectNow({ stream, revision: 2 })).toEqual({ unfinished: [], parked: [], applied: 0 });
    expect(await countParked(db)).toBe(0);
  });

  it('is not taken for one that is overdue', async () => {
    const { db } = bench.ledger.context;
    const { stream } = await used('overdue', 1);
    const mend = await tamper(bench.database.superuser, stream, 2, { type: 'FromTheFuture' });
    const due = async () => (await findDue(db, new Date(bench.ledger.context.clock.now() + 2_000 * MINUTE), 100)).users;
    await projectNow({ stream, revision: 1 });
    expect(await due()).toContain('overdue');
    await projectNow({ stream, revision: 2 });
    expect(await due()).not.toContain('overdue');
    await mend();
    await projectNow({ stream, revision: 2 });
    expect(await due()).toContain('overdue');
  });

  it('is no answer to a fault that has nothing to do with it', async () => {
    const { db } = bench.ledger.context;
    const { stream } = await used('unlucky', 1);
    await bench.database.superuser.query('revoke update on read_model.checkpoints from mana_credits_service');
    try {
      await expect(projectNow({ stream, revision: 2 })).rejects.toThrow('permission denied');
    } finally {
      await bench.database.superuser.query('grant update on read_model.checkpoints to mana_credits_service');
    }
    expect(await countParked(db)).toBe(0);
    expect(await projectNow({ stream, revision: 2 })).toMatchObject({ applied: 3 });
  });
});
