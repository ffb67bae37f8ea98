import { afterEach, expect, it } from 'vitest';
import { pino } from 'pino';
import { SERVICE_ROLE, servicePool } from '../../src/database.ts';
import { openQueue, workQueue } from '../../src/workers/queues.ts';
import { expectAsFolded } from '../projections/projecting.ts';
import { useLedger } from '../support/ledger.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';
import { caughtUp, eventually, names, openWorkers, work } from './working.ts';

/*
 * Jobs are hints: whatever becomes of them in the queue's own tables, all events are applied once and in order. What
 * becomes of them in Redis stands in redis-outages.test.ts.
 */

const bench = useLedger();

const open: { close(): Promise<void> }[] = [];
const workers = async () => open.push(await openWorkers(bench.database.url));
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

/** Works in the queue's tables, as often as it can while something goes on. Returns how many rows it touched. */
async function meddle(statement: string, during: Promise<void>): Promise<number> {
  let touched = 0;
  let goingOn = true;
  const ended = during.finally(() => {
    goingOn = false;
  });
  while (goingOn) {
    // What BullMQ has locked is left alone, so that we disturb the queue and not its transactions.
    touched += (await bench.database.superuser.query(statement)).rowCount ?? 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await ended;
  return touched;
}

const closeAll = () => Promise.all(open.splice(0).map((one) => one.close()));

it('signals that are lost while work goes on are given again', async () => {
  const { database, ledger } = bench;
  await workers();
  const statement = 'delete from queue.job where ctid in (select ctid from queue.job for update skip locked)';
  const lost = await meddle(statement, work(ledger, names('lost', 20), 10));
  expect(lost).toBeGreaterThan(0);
  await caughtUp(database.superuser);
  await closeAll();
  await expectAsFolded(ledger.context, database.superuser);
});

it('a whole queue that is emptied, with all it knows, costs nothing but time', async () => {
  const { database, ledger } = bench;
  await workers();
  const truncate = 'truncate queue.job, queue.meta, queue.event, queue.job_log, queue.job_dependency, queue.metrics, queue.dedup';
  const working = work(ledger, names('emptied', 20), 10);
  for (let times = 0; times < 5; times += 1) {
    await eventually(async () => {
      const { rows } = await database.superuser.query<{ jobs: string }>('select count(*) as jobs from queue.job');
      expect(Number(rows[0]?.jobs)).toBeGreaterThan(0);
    });
    await database.superuser.query(truncate);
    await work(ledger, names(`emptied ${times}`, 3), 2);
  }
  await working;
  await caughtUp(database.superuser);
  await closeAll();
  await expectAsFolded(ledger.context, database.superuser);
});

it('a queue whose tables fail for a while is used again when they are back', async () => {
  const { database, ledger } = bench;
  await workers();
  await database.superuser.query('alter table queue.job rename to job_elsewhere');
  await work(ledger, names('failing', 10));
  await database.superuser.query('alter table queue.job_elsewhere rename to job');
  await work(ledger, names('failing too', 10));
  await caughtUp(database.superuser);
  await closeAll();
  await expectAsFolded(ledger.context, database.superuser);
});

it('connections of the queue that are cut are made again', async () => {
  const { database, ledger } = bench;
  await workers();
  // BullMQ listens to the errors of a connection a moment after it is made: one that is cut before ends the process.
  const cut = `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
    and application_name not like 'mana-credits%' and pid <> pg_backend_pid() and backend_start < now() - interval '200 ms'`;
  for (let times = 0; times < 3; times += 1) {
    await work(ledger, names(`cut ${times}`, 10), 2);
    await eventually(async () => expect((await database.superuser.query(cut)).rowCount).toBeGreaterThan(0));
  }
  await caughtUp(database.superuser);
  await closeAll();
  await expectAsFolded(ledger.context, database.superuser);
});

it('a queue that is opened while Postgres is away is used when it is there', async () => {
  const proxy = await tcpProxy(bench.database.url);
  await proxy.cut();
  const connection = { kind: 'postgres', url: proxy.url, role: SERVICE_ROLE } as const;
  const log = pino({ level: 'silent' });
  const queue = openQueue(connection, log);
  const handled: string[] = [];
  const worker = workQueue(connection, { concurrency: 1, log }, async (signals) => {
    handled.push(...signals.map(({ stream }) => stream));
  });
  try {
    await expect(queue.send([[{ stream: 'account-nobody', revision: 0 }]])).rejects.toThrow();
    await proxy.restore();
    await eventually(async () => queue.send([[{ stream: 'account-nobody', revision: 0 }]]));
    await eventually(() => expect(handled).toContain('account-nobody'));
  } finally {
    await worker.close();
    await queue.close();
    await proxy.close();
  }
});

it('the service works the queue’s tables, and can make nothing beside them', async () => {
  const pool = servicePool(bench.database.url, 'makes nothing', 1);
  try {
    for (const what of ['table queue.mine ()', 'sequence queue.mine', 'view queue.mine as select 1']) {
      await expect(pool.query(`create ${what}`)).rejects.toMatchObject({ code: '42501' });
    }
  } finally {
    await pool.end();
  }
});

it.each([
  ['table', 'alter table queue.job rename to job_elsewhere', 'alter table queue.job_elsewhere rename to job'],
  ['schema', 'alter schema queue rename to queue_elsewhere', 'alter schema queue_elsewhere rename to queue'],
])('is not said to be reachable where its %s is gone', async (_, remove, bringBack) => {
  const { database, ledger } = bench;
  await ledger.context.pingQueue();
  await database.superuser.query(remove);
  try {
    await expect(ledger.context.pingQueue()).rejects.toMatchObject({ code: '42P01' });
  } finally {
    await database.superuser.query(bringBack);
  }
  await ledger.context.pingQueue();
});
