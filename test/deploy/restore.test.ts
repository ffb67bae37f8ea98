import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { expectAsFolded, readModelRows } from '../projections/projecting.ts';
import { useLedger } from '../support/ledger.ts';
import { caughtUp, eventually, names, openWorkers, work } from '../workers/working.ts';
import { ROOT } from './compose-file.ts';

/* What docs/choosing.md tells who restores: read models can be emptied by hand, and the workers make them again. */

const SCRIPT = readFileSync(join(ROOT, 'deploy', 'postgres', 'empty-read-models.sql'), 'utf8');
const bench = useLedger();

it('empties the read models, but not while somebody works; then the workers make them again from the log', async () => {
  const { superuser } = bench.database;
  const workers = await openWorkers(bench.database.url);
  await work(bench.ledger, names('restored', 5), 20);
  await caughtUp(superuser);
  const before = await readModelRows(superuser);
  expect(before['balances']).toHaveLength(5);

  await expect(superuser.query(SCRIPT)).rejects.toThrow('an API or a worker is running: stop all of them first');
  await superuser.query('rollback');
  expect(await readModelRows(superuser)).toEqual(before);
  await workers.close();
  await bench.ledger.close();

  // Another generation would hold what is no longer in the log, too.
  await superuser.query('create schema read_model_next');
  await eventually(async () => {
    await expect(superuser.query(SCRIPT).catch(rolledBack)).rejects.toThrow('other generations of the read models stand');
  });
  await superuser.query('drop schema read_model_next');
  await eventually(async () => void (await superuser.query(SCRIPT).catch(rolledBack)));
  expect(Object.values(await readModelRows(superuser)).flat()).toEqual([]);
  const again = await openWorkers(bench.database.url);
  try {
    await caughtUp(superuser);
    expect(await readModelRows(superuser)).toEqual(before);
    await expectAsFolded(again.ledger.context, superuser);
  } finally {
    await again.close();
  }

  /** The server may take a moment to see that the last connections are gone. */
  async function rolledBack(error: unknown): Promise<never> {
    await superuser.query('rollback');
    throw error;
  }
});
