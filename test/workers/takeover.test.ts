import { afterEach, expect, it } from 'vitest';
import { expectAsFolded } from '../projections/projecting.ts';
import { useLedger } from '../support/ledger.ts';
import { lockWaits } from '../support/lock-waits.ts';
import { caughtUp, eventually, names, startWorkerProcess, unapplied, type WorkerProcess, work } from './working.ts';

/* Two processes of workers on one log. The one that routes is killed: the other routes on, and does what it left undone. */

const bench = useLedger();

const ROUTER_LOCK = 7_041_852;
const EXPIRER_LOCK = 7_041_853;

const running = new Map<string, WorkerProcess>();
afterEach(async () => {
  await Promise.all([...running.values()].map((one) => one.kill()));
  running.clear();
});

/** Starts workers whose connections Postgres knows by a name. */
async function startNamed(name: string): Promise<void> {
  const url = new URL(bench.database.url);
  url.searchParams.set('application_name', name);
  running.set(name, await startWorkerProcess(url.href));
}

/** The name of the process that holds a lock; undefined where nobody does. */
async function holderOf(lock: number): Promise<string | undefined> {
  const { rows } = await bench.database.superuser.query<{ name: string }>(
    `select a.application_name as name from pg_locks l join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.classid = 0 and l.objid = $1 and l.granted and a.datname = current_database()`,
    [lock],
  );
  return rows[0]?.name;
}

/** Waits until one of the processes has a duty; returns its name. */
async function whoHas(lock: number): Promise<string> {
  let name: string | undefined;
  await eventually(async () => {
    name = await holderOf(lock);
    expect(running.has(name ?? '')).toBe(true);
  });
  return name ?? '';
}

async function kill(name: string): Promise<void> {
  await running.get(name)?.kill();
  running.delete(name);
}

/** Waits until so many projectors hold a job: one has written part of it and waits for the table that is held, others for its partitions. */
async function projectorsWait(count: number): Promise<void> {
  const { superuser } = bench.database;
  await eventually(async () =>
    expect(await lockWaits(superuser, '% grants %', '%pg_advisory_xact_lock%')).toBeGreaterThanOrEqual(count),
  );
}

it('the one that routes is killed under load: the other routes on, and all is applied', { timeout: 120_000 }, async () => {
  const { database, ledger } = bench;
  await startNamed('one');
  await startNamed('two');
  const former = await whoHas(ROUTER_LOCK);
  const working = work(ledger, names('load', 10), 60);
  await work(ledger, names('first', 3));
  await kill(former);
  await working;
  expect(await whoHas(ROUTER_LOCK)).not.toBe(former);
  expect(await whoHas(EXPIRER_LOCK)).not.toBe(former);
  await caughtUp(database.superuser);
  await expectAsFolded(ledger.context, database.superuser);
});

it('killed in the middle of work: the jobs it had taken are done by the other', { timeout: 120_000 }, async () => {
  const { database, ledger } = bench;
  const { superuser } = database;
  await startNamed('one');
  await startNamed('two');
  const former = await whoHas(ROUTER_LOCK);
  await work(ledger, names('before', 5));
  await caughtUp(superuser);
  // The grants come last in a batch: with their table held, projectors stop with all else written.
  await superuser.query('begin; lock table read_model.grants in exclusive mode');
  try {
    await work(ledger, names('taken', 200), 1);
    await projectorsWait(1);
    await work(ledger, names('taken after', 20), 1);
    // Each process projects one job at a time: now both hold one, and more wait.
    await projectorsWait(2);
    await kill(former);
  } finally {
    await superuser.query('commit');
  }
  await caughtUp(superuser);
  expect(await whoHas(ROUTER_LOCK)).not.toBe(former);
  expect((await unapplied(superuser)).all).toBe(0);
  await expectAsFolded(ledger.context, superuser);
});
