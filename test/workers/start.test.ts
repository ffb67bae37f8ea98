import { expect, it } from 'vitest';
import { findBalance } from '../../src/projections/balances.ts';
import { credits } from '../support/account-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { expectAsFolded } from '../projections/projecting.ts';
import { caughtUp, names, openWorkers, startWorkerProcess, work } from './working.ts';

const bench = useLedger();

it('what is written is applied, through the log, the router, the queue and a projector', async () => {
  const { database, ledger } = bench;
  const workers = await openWorkers(database.url);
  try {
    await work(ledger, names('end to end', 20));
    await caughtUp(database.superuser);
    expect(await findBalance(ledger.context.db, 'end to end 7')).toMatchObject({
      available: credits(1_000 - 5 - 8),
      reserved: 0,
    });
  } finally {
    await workers.close();
  }
  await expectAsFolded(ledger.context, database.superuser);
});

it('two processes of workers apply everything once', async () => {
  const { database, ledger } = bench;
  const workers = await Promise.all([openWorkers(database.url), openWorkers(database.url)]);
  try {
    await work(ledger, names('two processes', 40));
    await caughtUp(database.superuser);
  } finally {
    await Promise.all(workers.map((one) => one.close()));
  }
  await expectAsFolded(ledger.context, database.superuser);
});

it('the process ends when it is asked to', async () => {
  const { database, ledger } = bench;
  const workers = await startWorkerProcess(database.url);
  try {
    await work(ledger, names('process', 10));
    await caughtUp(database.superuser);
    expect(await workers.stop()).toBe(0);
  } finally {
    await workers.kill();
  }
  await expectAsFolded(ledger.context, database.superuser);
}, 20_000);
