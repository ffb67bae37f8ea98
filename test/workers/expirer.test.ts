import { afterEach, expect, it } from 'vitest';
import { pino } from 'pino';
import type { Accounts } from '../../src/commands/account-decider.ts';
import { findBalance } from '../../src/projections/balances.ts';
import { findReservation } from '../../src/projections/reservations.ts';
import { expireDue } from '../../src/workers/expirer.ts';
import { heads, projectFully } from '../projections/projecting.ts';
import { credits } from '../support/account-samples.ts';
import { openLedger, useLedger } from '../support/ledger.ts';
import { tamper } from '../projections/tampering.ts';
import { caughtUp, eventually, names, openWorkers } from './working.ts';

const bench = useLedger();

const MINUTE = 60_000;
const log = pino({ level: 'silent' });
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** An expirer with a write path of its own; `heard` is told of each stream that it issues a command for. */
async function startExpirer(heard: (stream: string) => void = () => undefined): Promise<void> {
  const ledger = await openLedger(bench.database.url);
  const stop = new AbortController();
  const accounts: Accounts = {
    execute(envelope) {
      heard(envelope.stream);
      return ledger.context.accounts.execute(envelope);
    },
  };
  const running = expireDue({ ...ledger.context, accounts, log }, stop.signal);
  closing.push(async () => {
    stop.abort();
    await running;
    await ledger.close();
  });
}

/** The Expired events of a user's account: what they ended. */
async function expiredOf(user: string) {
  const events = await bench.ledger.context.store.readStream(`account-${user}`, { limit: 1_000 });
  return events
    .filter(({ type }) => type === 'Expired')
    .map(({ data }) => JSON.parse(data) as { holds: unknown[]; lots: unknown[] });
}

const projectAll = async () => projectFully(bench.ledger.context, await heads(bench.ledger.context));
const soon = () => bench.ledger.context.clock.now() + 400;

it('ends holds and lots of idle accounts, once each, with two expirers at once', async () => {
  const users = names('idle', 10);
  await Promise.all(
    users.map(async (user) => {
      const account = bench.ledger.account(user);
      await account.grant(credits(5));
      await account.grant(credits(3), { expiresAt: soon(), priority: 90 });
      await account.reserve(credits(2), { ttl: 400 });
    }),
  );
  const workers = await Promise.all([openWorkers(bench.database.url), openWorkers(bench.database.url)]);
  closing.push(...workers.map((one) => () => one.close()));
  await Promise.all([startExpirer(), startExpirer()]);

  const { db } = bench.ledger.context;
  await eventually(async () => {
    for (const user of users) {
      expect(await findBalance(db, user)).toMatchObject({ available: credits(5), reserved: 0, dueAt: null });
      expect(await findReservation(db, user, 3)).toMatchObject({ status: 'expired', released: credits(2) });
    }
  });
  await caughtUp(bench.database.superuser);
  for (const user of users) {
    const ended = await expiredOf(user);
    expect(ended.flatMap(({ holds }) => holds)).toEqual([[3, credits(2)]]);
    expect(ended.flatMap(({ lots }) => lots)).toEqual([[2, credits(3)]]);
    // A hold and a lot that end at two times are two events at most.
    expect(ended.length).toBeLessThanOrEqual(2);
  }
});

it('writes one event for each end, though the read model does not follow', async () => {
  const account = bench.ledger.account('not followed');
  await account.grant(credits(5));
  await account.reserve(credits(2), { ttl: 1 });
  await projectAll();
  // Nobody applies what they write: the hold seems due for as long as they run.
  await Promise.all([startExpirer(), startExpirer(), startExpirer()]);
  await eventually(async () => expect(await expiredOf('not followed')).toHaveLength(1));
  const other = bench.ledger.account('not followed either');
  await other.grant(credits(5));
  await other.reserve(credits(2), { ttl: 1 });
  await projectFully(bench.ledger.context, [{ stream: other.stream, revision: 2 }]);
  await eventually(async () => expect(await expiredOf('not followed either')).toHaveLength(1));
  expect(await expiredOf('not followed')).toHaveLength(1);
});

it('asks for who stays due once a second, though others fall due all the while', async () => {
  const stuck = bench.ledger.account('stuck');
  await stuck.grant(credits(5));
  await stuck.reserve(credits(2), { ttl: 1 });
  await projectAll();
  // Nobody applies what it writes: this one seems due for as long as it runs.
  const asked: number[] = [];
  const others = new Set<string>();
  await startExpirer((stream) => {
    if (stream === stuck.stream) asked.push(performance.now());
    else others.add(stream);
  });
  let made = 0;
  await eventually(async () => {
    made += 1;
    const other = bench.ledger.account(`in between ${made}`);
    await other.grant(credits(5));
    await other.reserve(credits(2), { ttl: 1 });
    await projectFully(bench.ledger.context, [{ stream: other.stream, revision: 2 }]);
    expect(asked.length).toBeGreaterThanOrEqual(4);
  });
  const gaps = asked.slice(1).map((at, index) => at - (asked[index] ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThan(900);
  expect(Math.max(...gaps)).toBeLessThan(10_000);
  // Who is new is not kept waiting by who comes back.
  expect([...others].filter((stream) => stream.includes('in between')).length).toBeGreaterThan(asked.length);
});

it('changes no decision when it is late or does not run at all', async () => {
  // Its clock alone is put forward: that of the expirers stays.
  const ledger = await openLedger(bench.database.url);
  closing.push(() => ledger.close());
  const account = ledger.account('nobody there');
  await account.grant(credits(5), { expiresAt: ledger.context.clock.now() + 10 * MINUTE });
  await account.grant(credits(4));
  const hold = await account.reserve(credits(6), { ttl: 5 * MINUTE });
  await projectAll();
  ledger.wait(11 * MINUTE);
  // What time has done is decided by the clock: the lot is gone, though nobody has said so yet.
  const refused = await account.execute({ type: 'UseCredits', amount: credits(5), operation: null, appId: null, personal: null });
  expect(refused).toMatchObject({ kind: 'rejected', rejection: { code: 'insufficient_credits', available: credits(4) } });
  expect(await expiredOf('nobody there')).toHaveLength(1);
  await expect(account.commit(hold.revision)).rejects.toThrow('insufficient_credits');
  await account.commit(hold.revision, credits(4));
  expect(await expiredOf('nobody there')).toHaveLength(1);
});

it('goes on with everybody else where an account can not be read', async () => {
  const unreadable = bench.ledger.account('unreadable');
  await unreadable.grant(credits(5));
  await unreadable.reserve(credits(2), { ttl: 1 });
  await projectAll();
  const mend = await tamper(bench.database.superuser, unreadable.stream, 2, { type: 'FromTheFuture' });
  await startExpirer();
  const other = bench.ledger.account('readable');
  await other.grant(credits(5));
  await other.reserve(credits(2), { ttl: 1 });
  await projectFully(bench.ledger.context, [{ stream: other.stream, revision: 2 }]);
  await eventually(async () => expect(await expiredOf('readable')).toHaveLength(1));
  expect(await expiredOf('unreadable')).toEqual([]);
  await mend();
  await eventually(async () => expect(await expiredOf('unreadable')).toHaveLength(1));
});
