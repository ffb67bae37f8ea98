import { describe, expect, it, onTestFinished } from 'vitest';
import { migrate } from '../../src/migrate.ts';
import { findBalance } from '../../src/projections/balances.ts';
import { expectAsFolded, heads, projectFully } from '../projections/projecting.ts';
import { tamper } from '../projections/tampering.ts';
import { credits } from '../support/account-samples.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openLedger, type TestLedger } from '../support/ledger.ts';
import { caughtUp, eventually, names, openWorkers, unapplied, work } from '../workers/working.ts';
import { generationsOf, rebuild, rebuilt, rowsIn, structureOf } from './rebuilding.ts';

/* Building the read models anew, comparing, switching and going back: the commands, one after the other. */

const USERS = names('user', 6);

/** A ledger with a life behind it, all of which is applied. It goes with the test. */
async function worked(rounds = 6): Promise<{ readonly database: TestDatabase; readonly ledger: TestLedger }> {
  const database = await createTestDatabase();
  onTestFinished(() => database.close());
  const ledger = await openLedger(database.url);
  onTestFinished(() => ledger.close());
  await work(ledger, USERS, rounds);
  await projectFully(ledger.context, await heads(ledger.context));
  return { database, ledger };
}

/** Workers, which end with the test. */
async function withWorkers({ url }: TestDatabase): Promise<TestLedger> {
  const workers = await openWorkers(url);
  onTestFinished(() => workers.close());
  return workers.ledger;
}

describe('a rebuild', () => {
  it('makes a generation like the live one, to the bit and to the last right, and switches to it and back', async () => {
    const { database, ledger } = await worked();
    const { superuser } = database;
    const before = await structureOf(superuser, 'read_model');

    expect(await rebuilt(database, 'start')).toMatch(/caught up with the log at position \d+: \d+ events applied/);
    expect(await structureOf(superuser, 'read_model_next')).toEqual(before);
    expect(await rowsIn(superuser, 'read_model_next')).toEqual(await rowsIn(superuser, 'read_model'));
    expect(await rebuilt(database, 'status')).toContain('read_model_next: fed by the projectors, level with the live one');
    expect(await rebuilt(database, 'compare')).toContain('Compared 6 streams of read_model with read_model_next');

    expect(await rebuilt(database, 'switch')).toContain('Switched.');
    expect(await generationsOf(superuser)).toEqual(['read_model', 'read_model_previous']);
    expect(await structureOf(superuser, 'read_model')).toEqual(before);
    expect(await rebuilt(database, 'compare')).toContain('no difference');

    expect(await rebuilt(database, 'back')).toContain('Back.');
    expect(await generationsOf(superuser)).toEqual(['read_model', 'read_model_next']);
    expect(await rebuilt(database, 'switch')).toContain('Switched.');
    expect(await rebuilt(database, 'drop')).toBe('read_model_previous is removed.\n');
    expect(await generationsOf(superuser)).toEqual(['read_model']);
    await expectAsFolded(ledger.context, superuser);
  }, 120_000);

  it('is fed by the workers before and behind the switch, so that either generation is right at once', async () => {
    const { database } = await worked();
    const { superuser } = database;
    const ledger = await withWorkers(database);
    await rebuilt(database, 'start');
    await work(ledger, [...USERS, 'new to next'], 4);
    await caughtUp(superuser);
    await alike(database, 'read_model_next');

    await rebuilt(database, 'switch');
    await work(ledger, [...USERS, 'new to both'], 4);
    await caughtUp(superuser);
    await alike(database, 'read_model_previous');

    await rebuilt(database, 'back');
    expect(await unapplied(superuser)).toEqual({ all: 0, passedOver: 0 });
    await ledger.account('new to both').use(credits(1));
    await caughtUp(superuser);
    await alike(database, 'read_model_next');
    expect(await rebuilt(database, 'abandon')).toBe('read_model_next is removed.\n');
    await ledger.account('new to both').use(credits(1));
    await caughtUp(superuser);
    expect(await generationsOf(superuser)).toEqual(['read_model']);
  }, 120_000);
});

/** That a generation beside the live one gets to hold the same. */
async function alike({ superuser }: TestDatabase, other: string): Promise<void> {
  await eventually(async () => expect(await rowsIn(superuser, other)).toEqual(await rowsIn(superuser, 'read_model')));
}

describe('a comparison', () => {
  it('finds each row that is wrong, missing or too many, with the events it came from; after the switch all is right', async () => {
    const { database, ledger } = await worked();
    const { superuser } = database;
    await superuser.query(`update read_model.balances set available = available + 5 where user_id = 'user 1'`);
    await superuser.query(`delete from read_model.transactions where user_id = 'user 2' and revision = 2`);
    await superuser.query(
      `update read_model.reservations set taken = 1, personal = 'words' where user_id = 'user 3' and revision = 2`,
    );
    await superuser.query(`insert into read_model.journal values ('account-nobody', 0, '{available}', '{7}', now())`);
    await superuser.query(`update read_model.usage_stats set uses = 99 where user_id = 'user 4' and uses > 4`);
    await rebuilt(database, 'start');

    const { code, stdout, stderr } = await rebuild(database, 'compare');
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(
      /balances user_id=user 1\n {2}available: \d+ in read_model, \d+ in read_model_next\n {2}by account-user 1@\d+ ReservationReleased at 20\S+Z\n/,
    );
    expect(stdout).toMatch(
      /transactions user_id=user 2 revision=2, missing in read_model\n {2}by account-user 2@2 CreditsReserved at \S+\n {2}by account-user 2@\d+ CreditsConsumed at/,
    );
    expect(stdout).toMatch(
      /reservations user_id=user 3 revision=2\n {2}personal: differs \(not shown\)\n {2}taken: 1 in read_model, 2000000 in read_model_next\n {2}by account-user 3@2 CreditsReserved at/,
    );
    expect(stdout).not.toContain('words');
    expect(stdout).toMatch(
      /journal stream=account-nobody revision=0, missing in read_model_next\n {2}by no event that the log holds\n/,
    );
    expect(stdout).toMatch(/usage_stats user_id=user 4 day=\S+ app=label operation=chat\n {2}uses: 99 in read_model, 10 in/);
    expect(stdout).toContain('Compared 6 streams of read_model with read_model_next, row by row: 5 rows differ.');

    const few = await rebuild(database, 'compare', '--show', '1');
    expect(few.code).toBe(1);
    expect(few.stdout).toContain('and 4 more\n');

    await rebuilt(database, 'switch');
    await rebuilt(database, 'drop');
    expect(await findBalance(ledger.context.db, 'user 1')).toMatchObject({ revision: await headOf(ledger, 'user 1') });
    await expectAsFolded(ledger.context, superuser);
  }, 120_000);

  it('holds the rows of the catalogue against each other too', async () => {
    const { database } = await worked(1);
    const { superuser } = database;
    await superuser.query(`insert into read_model.packages (id, revision, name, credits, price_euro_cents, sort_order, metadata, defined_at)
      values ('ghost', 3, 'Ghost', 1, 1, 0, '{}', now())`);
    await rebuilt(database, 'start');
    const { code, stdout } = await rebuild(database, 'compare');
    expect(code).toBe(1);
    expect(stdout).toContain('packages id=ghost, missing in read_model_next\n');
  }, 60_000);
});

async function headOf({ context }: TestLedger, user: string): Promise<number | undefined> {
  return (await heads(context)).find(({ stream }) => stream === `account-${user}`)?.revision;
}

describe('a stream that can not be applied', () => {
  it('is parked in the new generation alone, and stands in the way of a switch until it is mended', async () => {
    const { database, ledger } = await worked();
    const { superuser } = database;
    const mend = await tamper(superuser, 'account-user 2', 3, { type: 'FromTheFuture' });
    const started = await rebuild(database, 'start');
    expect(started).toMatchObject({ code: 1, stderr: '' });
    const named = 'account-user 2 at revision 3: UnreadableEventError';
    expect(started.stdout).toContain(`are parked in read_model_next only:\n  ${named}`);
    expect((await superuser.query('select from read_model.parked')).rowCount).toBe(0);

    const refused = await rebuild(database, 'switch');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(named);
    expect(await generationsOf(superuser)).toEqual(['read_model', 'read_model_next']);

    // Whoever wants to all the same may, and has a way back to what was there.
    const whole = await findBalance(ledger.context.db, 'user 2');
    await rebuilt(database, 'switch', '--despite-parked');
    expect(await findBalance(ledger.context.db, 'user 2')).toMatchObject({ revision: 2 });
    expect((await superuser.query('select from read_model.parked')).rowCount).toBe(1);
    await rebuilt(database, 'back');
    expect(await findBalance(ledger.context.db, 'user 2')).toEqual(whole);

    await mend();
    await rebuilt(database, 'switch');
    expect(await unapplied(superuser)).toMatchObject({ all: 0 });
    await expectAsFolded(ledger.context, superuser);
  }, 120_000);

  it('in the live generation is brought to its end by the switch, where the new one can apply it', async () => {
    const { database, ledger } = await worked(1);
    const { superuser } = database;
    const mend = await tamper(superuser, 'account-user 3', 2, { type: 'FromTheFuture' });
    await superuser.query(`truncate read_model.checkpoints, read_model.balances, read_model.transactions, read_model.reservations,
      read_model.grants, read_model.usage_stats, read_model.journal`);
    await projectFully(ledger.context, await heads(ledger.context));
    expect((await superuser.query('select from read_model.parked')).rowCount).toBe(1);
    await mend();
    await rebuilt(database, 'start');
    await rebuilt(database, 'switch');
    expect((await superuser.query('select from read_model.parked')).rowCount).toBe(0);
    await rebuilt(database, 'drop');
    await expectAsFolded(ledger.context, superuser);
  }, 120_000);
});

describe('what is refused', () => {
  it('says what can be done instead', async () => {
    const { database } = await worked(1);
    const refusals = async (...commands: readonly (readonly [command: string, why: string])[]) => {
      for (const [command, why] of commands) {
        const { code, stderr } = await rebuild(database, command);
        expect({ command, code, stderr }).toEqual({ command, code: 1, stderr: expect.stringContaining(why) as string });
      }
    };
    await refusals(
      ['switch', 'There is no next generation: `start` builds one.'],
      ['back', 'There is no generation before to go back to.'],
      ['drop', 'There is no read_model_previous.'],
      ['abandon', 'There is no read_model_next.'],
      ['compare', 'There is nothing to compare with: `start` builds another generation.'],
    );
    await rebuilt(database, 'start');
    await rebuilt(database, 'switch');
    await refusals(['start', 'The generation before stands'], ['switch', 'The generation before the last switch stands']);
  }, 120_000);

  it('is to migrate while another generation stands, which would keep the structure of before', async () => {
    const { database } = await worked(1);
    const { superuser } = database;
    await rebuilt(database, 'start');
    expect(await migrate(database.url)).toEqual([]);
    // As if a version with one more migration had come.
    await superuser.query(`delete from kysely_migration where name = (select max(name) from kysely_migration)`);
    await expect(migrate(database.url)).rejects.toThrow('read_model_next stands and would stay as it is');
    await rebuilt(database, 'switch');
    await expect(migrate(database.url)).rejects.toThrow('read_model_previous stands and would stay as it is');
  }, 60_000);
});
