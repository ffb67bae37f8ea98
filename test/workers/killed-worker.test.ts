import { afterEach, expect, it } from 'vitest';
import { expectAsFolded } from '../projections/projecting.ts';
import { useLedger } from '../support/ledger.ts';
import { lockWaits } from '../support/lock-waits.ts';
import { caughtUp, eventually, names, openWorkers, startWorkerProcess, unapplied, work } from './working.ts';

/* A process of workers that is killed, in the middle of a batch or anywhere else: another takes over, nothing is lost. */

const bench = useLedger();

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

/** Waits until a projector has written part of a batch and waits for the table that we hold. */
async function projectorWaits(): Promise<void> {
  await eventually(async () => expect(await lockWaits(bench.database.superuser, '% grants %')).toBeGreaterThan(0));
}

it('killed in the middle of a batch: what it had written of it is gone, and written once by another', {
  timeout: 90_000,
}, async () => {
  const { database, ledger } = bench;
  const { superuser } = database;
  const killed = await startWorkerProcess(database.url);
  try {
    await work(ledger, names('before', 5));
    await caughtUp(superuser);
    // The grants come last in a batch: with their table held, a projector stops with all else written.
    await superuser.query('begin; lock table read_model.grants in exclusive mode');
    await work(ledger, names('killed', 20));
    await projectorWaits();
  } finally {
    await killed.kill();
    await superuser.query('commit');
  }
  expect((await unapplied(superuser)).all).toBeGreaterThan(0);
  open.push(await openWorkers(database.url));
  await work(ledger, names('after', 5));
  await caughtUp(superuser);
  await Promise.all(open.splice(0).map((one) => one.close()));
  await expectAsFolded(ledger.context, superuser);
});

it('killed again and again under load, one following another', { timeout: 90_000 }, async () => {
  const { database, ledger } = bench;
  let next = startWorkerProcess(database.url);
  const working = work(ledger, names('load', 10), 40);
  for (let times = 0; times < 2; times += 1) {
    const one = await next;
    next = startWorkerProcess(database.url);
    const before = await unapplied(database.superuser);
    expect(before.passedOver).toBe(0);
    await work(ledger, names(`load ${times}`, 3));
    await one.kill();
  }
  const last = await next;
  try {
    await working;
    await caughtUp(database.superuser);
  } finally {
    await last.kill();
  }
  await expectAsFolded(ledger.context, database.superuser);
});
