import { afterAll, describe, expect, it, vi } from 'vitest';
import { killAll, startChild } from '../entries/children.ts';
import { batchOf, written } from '../events/contract/batches.ts';
import { credits } from '../support/account-samples.ts';
import { createTestDatabase } from '../support/database.ts';
import { openLedger } from '../support/ledger.ts';
import { runCommandLine } from '../support/run-command-line.ts';
import { countEvents, contentOf, emptyDatabase, expectSame, useSourceLog, withoutProgress } from './copying.ts';

/* The command, as it is run: `npm run log -- copy`. */

const sourceLog = useSourceLog();
const longLog = useSourceLog(20_000);

afterAll(killAll);

async function copy(from: string, to: string, ...more: readonly string[]) {
  const { stderr, ...ended } = await runCommandLine('log', ['copy', '--to', to, ...more], from);
  return { ...ended, stderr: withoutProgress(stderr) };
}

describe('log copy', () => {
  it('copies every event to the letter, with its claims, links and heads, and says what it compared', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const { code, stdout, stderr } = await copy(source.database.url, target.database.url);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { events, streams } = source;
    const lines = stdout.split('\n');
    expect(lines.slice(1)).toEqual([
      `Copied up to position ${events}: ${events} events written, 0 were there before.`,
      '                                 source  target',
      expect.stringMatching(new RegExp(`^streams +${streams} +${streams}  ok$`)),
      expect.stringMatching(new RegExp(`^events +${events} +${events}  ok$`)),
      expect.stringMatching(new RegExp(`^streams with the same last hash +${streams} +${streams}  ok$`)),
      expect.stringMatching(new RegExp(`^hashes recomputed +${events}  ok$`)),
      expect.stringMatching(/^events behind +0 {2}ok$/),
      'The copy is level with the source.',
      '',
    ]);
    await expectSame(source.database, target.database);
  }, 90_000);

  it('shows nobody the password of a database', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const { stdout, stderr } = await copy(source.database.url, target.database.url);
    const { password, host, pathname } = new URL(target.database.url);
    expect(stdout).toContain(`to postgres://${host}${pathname}\n`);
    if (password !== '') expect(stdout + stderr).not.toContain(password);
  }, 90_000);

  it('repeated, writes nothing; later, what has come since', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    await copy(source.database.url, target.database.url);
    const before = await contentOf(target.database);
    const again = await copy(source.database.url, target.database.url);
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(again.stdout).toContain(`0 events written, ${source.events} were there before.`);
    expect(await contentOf(target.database)).toEqual(before);

    await written(source.store, batchOf('account-late', [{}, {}]));
    const later = await copy(source.database.url, target.database.url);
    expect(later.stdout).toContain(`2 events written, ${source.events} were there before.`);
    await expectSame(source.database, target.database);
  }, 90_000);

  it('goes on where it was killed, and writes nothing twice', async () => {
    const [source, target] = [await longLog(), await emptyDatabase()];
    const env = { DATABASE_URL: source.database.url };
    const args = ['--import', 'tsx', 'src/cli/log.ts', 'copy', '--to', target.database.url];
    const { superuser } = target.database;
    for (const share of [0.1, 0.4]) {
      const child = startChild({ args, env });
      const enough = share * source.events;
      await vi.waitUntil(async () => (await countEvents(target.database)) > enough, { timeout: 30_000, interval: 1 });
      // Whoever appends waits for this lock, so that the copy is killed with an append under way, which goes on without it.
      await superuser.query('select pg_advisory_lock(7041851)');
      expect(await countEvents(target.database)).toBeLessThan(source.events);
      child.kill('SIGKILL');
      expect(await child.ended()).toEqual({ code: null, signal: 'SIGKILL' });
      await superuser.query('select pg_advisory_unlock(7041851)');
    }
    const { code, stdout } = await copy(source.database.url, target.database.url);
    expect(code).toBe(0);
    const [, wrote, found] = /: (\d+) events written, (\d+) were/.exec(stdout) ?? [];
    expect(Number(wrote)).toBeGreaterThan(0);
    expect(Number(wrote) + Number(found)).toBe(source.events);
    expect(await countEvents(target.database)).toBe(source.events);
    await expectSame(source.database, target.database);
  }, 120_000);

  it('copies back what was written on the other side', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    await copy(source.database.url, target.database.url);
    await written(target.store, batchOf('account-new', [{}]));
    const { code, stdout } = await copy(source.database.url, source.database.url, '--from', target.database.url);
    expect(code).toBe(0);
    expect(stdout).toContain(`1 events written, ${source.events} were there before.`);
    await expectSame(source.database, target.database);
  }, 90_000);
});

describe('log copy refuses', () => {
  it('a target that holds another event, and names it', async () => {
    const [source, target] = [await sourceLog(), await emptyDatabase()];
    const ledger = await openLedger(target.database.url);
    await ledger.account('bob').expire();
    const granted = await ledger.account('bob').grant(credits(5));
    await ledger.close();
    const before = await contentOf(target.database);
    const { code, stdout, stderr } = await copy(source.database.url, target.database.url);
    expect(code).toBe(2);
    expect(stdout).not.toContain('level');
    expect(granted.revision).toBe(1);
    expect(stderr).toMatch(/^account-bob, revision 0: the target holds the event .* \(AccountOpened\), the source the event .*/);
    expect(before).not.toEqual(await contentOf(source.database));
  });

  it.each([
    [[], /Say where to: --to/],
    [['--to', 'mysql://somewhere'], /A log is at postgres:\/\/… or esdb:\/\/…/],
    [['--to', 'postgres://nobody:secret@127.0.0.1:1/none'], /ECONNREFUSED/],
    [['--nothing'], /unknown option/],
  ])('what is not right: %j', async (args, message) => {
    const database = await createTestDatabase();
    try {
      const { code, stdout, stderr } = await runCommandLine('log', ['copy', ...args], database.url);
      expect(code).not.toBe(0);
      expect(stdout).toBe('');
      expect(stderr).toMatch(message);
      expect(stderr).not.toContain('secret');
    } finally {
      await database.close();
    }
  });

  it('to copy a log onto itself', async () => {
    const { database } = await emptyDatabase();
    const { code, stderr } = await copy(database.url, database.url);
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'The source and the target are the same log.\n' });
  });
});
