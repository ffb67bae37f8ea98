import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { writersOn } from '../../src/cli/log-copy/writers.ts';
import { killAll, startChild } from '../entries/children.ts';
import { giveCredits, granted, readOwn, tokenOf } from '../support/api-client.ts';
import type { TestDatabase } from '../support/database.ts';
import { openTestStore, type Server, serverForTests } from '../support/kurrent-store.ts';
import { type Service, startService } from '../support/service.ts';
import { countEvents, useSourceLog, withoutProgress } from './copying.ts';

/* A log moves to KurrentDB and back again, with the commands as they are run. */

const SERVICES = '/api/v1/internal/credits';

const sourceLog = useSourceLog(300);
const longLog = useSourceLog(10_000);

let server: Server;

beforeAll(async () => {
  server = await serverForTests();
});
afterAll(async () => {
  killAll();
  await server?.close();
});

type Environment = Readonly<Record<string, string>>;

/** How a process finds the log: on the server, under a prefix of the database's own, or in the database. */
function environments({ url }: TestDatabase): { readonly inPostgres: Environment; readonly inKurrent: Environment } {
  const inPostgres = { DATABASE_URL: url };
  const prefix = `${new URL(url).pathname.slice(1)}.`;
  return { inPostgres, inKurrent: { ...inPostgres, EVENTSTORE_URL: server.url, EVENTSTORE_PREFIX: prefix } };
}

/** Runs a command to its end, which must be a good one. Returns what it printed. */
async function run(name: string, args: readonly string[], env: Environment): Promise<string> {
  const child = startChild({ args: ['--import', 'tsx', `src/cli/${name}.ts`, ...args], env });
  const { code } = await child.ended();
  expect({ code, stderr: withoutProgress(child.stderr()) }).toEqual({ code: 0, stderr: '' });
  return child.stdout();
}

/** Lets the service run on a log, and sees that nothing of it is left. */
async function serve<Result>(env: Environment, work: (service: Service) => Promise<Result>): Promise<Result> {
  const { DATABASE_URL: databaseUrl = '' } = env;
  const service = await startService({ databaseUrl, workers: true, env });
  try {
    return await work(service);
  } finally {
    await service.close();
    await expect.poll(() => writersOn(databaseUrl), { timeout: 5_000 }).toEqual([]);
  }
}

async function balanceAt(service: Service, user: string, token: string): Promise<unknown> {
  const read = await readOwn(service.app(), `${SERVICES}/balance/${user}`, { 'x-min-revision': token });
  return (read as { body: { balance: unknown } }).body.balance;
}

/** The same command under the same key, wherever the log is. */
function useOnce(service: Service, key: string) {
  return service.app().post(`${SERVICES}/use`, { userId: 'mover', amount: 2 }, { 'idempotency-key': key });
}

describe('a log', () => {
  it('moves to KurrentDB and back, and the service with it', async () => {
    const { database } = await sourceLog();
    const { inPostgres, inKurrent } = environments(database);
    const [before, since] = [randomUUID(), randomUUID()];
    const first = await serve(inPostgres, async (service) => {
      await giveCredits(service.app(), 'mover', 10);
      return granted(await useOnce(service, before));
    });
    const events = await countEvents(database);

    expect(await run('log', ['copy'], inKurrent)).toContain(`${events} events written, 0 were there before.`);
    const finished = await run('log', ['copy', '--finish'], inKurrent);
    expect(finished).toContain(`0 events written, ${events} were there before.`);
    expect(finished).toMatch(/The copy is complete\. The router starts at position \S+ of the target/);
    expect(finished).toContain(`The index of claims and links knows all ${events} events`);
    expect(await run('verify', [], inKurrent)).toMatch(
      new RegExp(`^The log is as it was written: ${events} events in 6 streams`),
    );

    await serve(inKurrent, async (service) => {
      // A key that was used before the move is known after it.
      expect((await useOnce(service, before)).body).toEqual(first.body);
      const second = granted(await useOnce(service, since));
      expect(await balanceAt(service, 'mover', tokenOf(second))).toBe(6);
    });
    expect(await countEvents(database)).toBe(events);
    expect(await run('verify', [], inKurrent)).toContain(`${events + 1} events in 6 streams`);
    const reindexed = await run('log', ['reindex', '--from-scratch'], inKurrent);
    expect(reindexed).toContain(`knows all ${events + 1} events; ${events + 1} of them were missing.`);
    expect(await run('verify', [], inKurrent)).not.toContain('not in the index');
    const exported = JSON.parse(await run('export', ['mover'], inKurrent)) as { events: unknown[]; account: object };
    expect(exported).toMatchObject({ account: { stream: 'account-mover', revision: 3 } });
    expect(exported.events).toHaveLength(4);

    const back = ['copy', '--finish', '--from', server.url, '--to', database.url];
    expect(await run('log', back, inKurrent)).toContain(`1 events written, ${events} were there before.`);
    expect(await run('verify', [], inPostgres)).toContain(`${events + 1} events in 6 streams`);
    await serve(inPostgres, async (service) => {
      const again = await useOnce(service, since);
      expect(again.status).toBe(200);
      expect(await balanceAt(service, 'mover', tokenOf(granted(await useOnce(service, randomUUID()))))).toBe(4);
    });
  }, 180_000);

  it('goes on moving where the copy was killed, and nothing is there twice', async () => {
    const { database, events, store: source } = await longLog();
    const { inKurrent } = environments(database);
    const target = await openTestStore(server.url, database.url);
    onTestFinished(() => target.close());
    const child = startChild({ args: ['--import', 'tsx', 'src/cli/log.ts', 'copy'], env: inKurrent });
    const isLongAt = async (revision: number) =>
      (await target.store.readStreams([{ stream: 'account-long', from: revision, to: revision }])).length > 0;
    await vi.waitUntil(() => isLongAt(1_000), { timeout: 60_000, interval: 5 });
    // The copy waits for this lock to read on, so that it is killed in the middle however slow this test is.
    await database.superuser.query('begin');
    await database.superuser.query('lock table ledger.events in access exclusive mode');
    expect(await isLongAt(9_900)).toBe(false);
    child.kill('SIGKILL');
    expect(await child.ended()).toEqual({ code: null, signal: 'SIGKILL' });
    await database.superuser.query('rollback');

    const copied = await run('log', ['copy'], inKurrent);
    const [, wrote, found] = /: (\d+) events written, (\d+) were/.exec(copied) ?? [];
    expect(Number(found)).toBeGreaterThan(1_000);
    expect(Number(wrote) + Number(found)).toBe(events);
    expect(copied).toContain('The copy is level with the source.');
    const all = await target.store.readStreams([{ stream: 'account-long', from: 0, to: events }]);
    expect(all).toEqual(await source.readStreams([{ stream: 'account-long', from: 0, to: events }]));
  }, 180_000);
});
