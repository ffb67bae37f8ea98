import { afterAll, expect, it, onTestFinished, vi } from 'vitest';
import type pg from 'pg';
import { migrate } from '../../src/migrate.ts';
import { heads, projectFully } from '../projections/projecting.ts';
import { environmentOn } from '../support/backends.ts';
import { credits } from '../support/account-samples.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openLedger } from '../support/ledger.ts';
import { useManyTimes } from '../support/long-account.ts';
import { type Child, killAll, startChild } from '../entries/children.ts';
import { names, work } from '../workers/working.ts';
import { generationsOf, rebuild, rebuilt, rowsIn } from './rebuilding.ts';

/* A rebuild that is killed, that somebody else has begun already, or that the projectors don't let through. */

afterAll(killAll);

/** Uses of one account; beside it stand a few that are shorter. */
const MANY = 14_000;
const PATIENCE = { timeout: 20_000, interval: 5 };

/** A database with a log that takes several pages, all of it applied. It goes with the test. */
async function longLog(many = MANY): Promise<TestDatabase> {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  const ledger = await openLedger(database.url);
  await work(ledger, names('short', 4));
  const lot = await ledger.account('long').grant(credits(100));
  if (many > 0) await useManyTimes(ledger.context.store, { user: 'long', lot: lot.revision, count: many });
  await projectFully(ledger.context, await heads(ledger.context));
  await ledger.close();
  return database;
}

function startRebuild({ url }: TestDatabase): Child {
  return startChild({ args: ['--import', 'tsx', 'src/cli/rebuild.ts', 'start'], env: environmentOn(url) });
}

async function positionIn(superuser: pg.Client, generation: string): Promise<number> {
  const { rows } = await superuser.query<{ position: string }>(`select position from ${generation}.applied`);
  return Number(rows[0]?.position ?? 0);
}

it('killed in the middle it is switched to by nobody, goes on where it was, and ends with the same', async () => {
  const database = await longLog();
  const { superuser } = database;
  const killed = startRebuild(database);
  await vi.waitUntil(async () => (await generationsOf(superuser)).includes('read_model_next'), PATIENCE);
  await vi.waitUntil(async () => (await positionIn(superuser, 'read_model_next')) > 0, PATIENCE);
  // Held where it is: it is in the middle when it dies.
  await superuser.query('begin; lock table read_model_next.journal in exclusive mode');
  const reached = await positionIn(superuser, 'read_model_next');
  expect(reached).toBeLessThan(MANY);
  killed.kill('SIGKILL');
  expect(await killed.ended()).toEqual({ code: null, signal: 'SIGKILL' });
  await superuser.query('rollback');

  const refused = await rebuild(database, 'switch');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('has not caught up with the log yet') as string });
  expect(await rebuilt(database, 'status')).toMatch(
    /read_model_next: being filled, up to position \d+, behind the live one in 1 of its streams/,
  );
  expect(await generationsOf(superuser)).toEqual(['read_model', 'read_model_next']);

  const said = await rebuilt(database, 'start');
  const from = Number(/Going on behind position (\d+)/.exec(said)?.[1]);
  expect(from).toBeGreaterThanOrEqual(reached);
  expect(await rowsIn(superuser, 'read_model_next')).toEqual(await rowsIn(superuser, 'read_model'));
  expect(await rebuilt(database, 'compare')).toContain('no difference');
  await rebuilt(database, 'switch');
}, 120_000);

it('begun twice, the second is refused, and so is a migration', async () => {
  const database = await longLog(0);
  const { superuser } = database;
  await superuser.query(`delete from kysely_migration where name = (select max(name) from kysely_migration)`);
  // The first one waits for this table, which it is to make another like.
  await superuser.query('begin; lock table read_model.usage_stats in access exclusive mode');
  const first = startRebuild(database);
  await vi.waitUntil(async () => {
    const { rowCount } = await superuser.query(
      `select from pg_locks where relation = 'read_model.usage_stats'::regclass and not granted`,
    );
    return rowCount === 1;
  }, PATIENCE);
  for (const command of ['start', 'switch', 'abandon']) {
    expect(await rebuild(database, command)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'Another rebuild, or a migration, is at work on this database: let it end, or stop it, and try again.\n',
    });
  }
  await expect(migrate(database.url)).rejects.toThrow('the read models are being rebuilt');
  await superuser.query('rollback');
  expect(await first.ended()).toEqual({ code: 0, signal: null });
  expect(await generationsOf(superuser)).toEqual(['read_model', 'read_model_next']);
}, 120_000);

it('is not switched to where a projector does not come to its end, and says so', async () => {
  const database = await longLog(0);
  const { superuser } = database;
  await rebuilt(database, 'start');
  const before = await rowsIn(superuser, 'read_model');
  // As a transaction holds it that projects.
  await superuser.query('select pg_advisory_lock_shared(7041856)');
  const refused = await rebuild(database, 'switch');
  expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('did not pause in time: try again') as string });
  expect(await generationsOf(superuser)).toEqual(['read_model', 'read_model_next']);
  expect(await rowsIn(superuser, 'read_model')).toEqual(before);
  await superuser.query('select pg_advisory_unlock_shared(7041856)');
  await rebuilt(database, 'switch');
}, 60_000);
