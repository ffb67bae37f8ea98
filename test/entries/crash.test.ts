import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { verify } from '../../src/cli/verify.ts';
import { type Account, evolve, initialAccount } from '../../src/commands/account.ts';
import { accountStream } from '../../src/events/account-events.ts';
import { environmentOn } from '../support/backends.ts';
import { readAccountEvent } from '../support/read-account-event.ts';
import { createApiClient, giveCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase, type TestStore, testStore } from '../support/database.ts';
import { type Child, killAll, startChild } from './children.ts';
import { type Load, type Sent, send, startLoad } from './crash-load.ts';

/*
 * The API is killed again and again in the middle of its work. Afterwards every command that was acknowledged stands in
 * the log once, with the outcome that was acknowledged, and none that wasn't is half there.
 */

const KILLS = 10;
const SERVICE_KEY = 'crash-service-key-0123456789';
const USERS = ['crash-a', 'crash-b', 'crash-c'];
const CREDITS = 100_000;

let database: TestDatabase;
let log: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  log = testStore(database.url);
});

afterAll(async () => {
  killAll();
  await log?.close();
  await database?.close();
});

async function startApi(): Promise<{ api: Child; url: string }> {
  const env = { ...environmentOn(database.url), MANA_SERVICE_KEY: SERVICE_KEY, HOST: '127.0.0.1', PORT: '0' };
  const api = startChild({ args: ['--import', 'tsx', 'src/server.ts'], env });
  return { api, url: await api.says(/Server listening at (http:\/\/127\.0\.0\.1:\d+)/) };
}

it('keeps every word it has given, however often it is killed', { timeout: 240_000 }, async () => {
  let { api, url } = await startApi();
  const client = createApiClient(url, { 'x-service-key': SERVICE_KEY });
  for (const user of USERS) await giveCredits(client, user, CREDITS);
  const load = startLoad({ users: USERS, clientsPerUser: 5, serviceKey: SERVICE_KEY, random: Math.random });
  for (let kill = 0; kill < KILLS; kill += 1) {
    load.moveTo(url);
    await answeredMore(load, randomInt(1, 60));
    api.kill('SIGKILL');
    load.moveTo(undefined);
    expect(await api.ended()).toEqual({ code: null, signal: 'SIGKILL' });
    ({ api, url } = await startApi());
  }
  load.moveTo(url);
  await answeredMore(load, 50);
  await load.stop();

  await checkLog(load.sent);
  await checkRepeats(load.sent, url);
  expect(await verify({ pool: log.pool })).toEqual([]);
  api.kill('SIGTERM');
  expect(await api.ended()).toEqual({ code: 0, signal: null });
});

async function answeredMore(load: Load, more: number): Promise<void> {
  const wanted = load.answered() + more;
  await vi.waitUntil(() => load.answered() >= wanted, { timeout: 60_000, interval: 5 });
}

/** The log as it is, before any command is repeated. */
async function checkLog(sent: readonly Sent[]): Promise<void> {
  for (const user of USERS) {
    const events = (await log.store.readStream(accountStream(user), { limit: 100_000 })).map(readAccountEvent);
    let account: Account = initialAccount;
    events.forEach((event, revision) => {
      expect(event.revision).toBe(revision);
      account = evolve(account, event);
      expectSums(account);
    });
    // None of these commands writes more than one event.
    const keys = events.slice(2).map(({ metadata }) => metadata.idempotencyKey);
    expect(new Set(keys).size).toBe(keys.length);
    const acknowledged = sent.filter(({ userId, answer }) => userId === user && answer?.status === 200);
    const written = new Set(keys);
    for (const { key, answer } of acknowledged) {
      // A hold may be settled only once, so whoever came second was given the first one's answer.
      const isRepeat = answer?.headers.get('idempotency-replayed') === 'true';
      if (!isRepeat) expect(written).toContain(key);
    }
    const refused = sent.filter(({ userId, answer }) => userId === user && answer !== undefined && answer.status !== 200);
    for (const { key } of refused) expect(written).not.toContain(key);
  }
}

/** What the lots hold is what the last event says that there is. */
function expectSums(account: Account): void {
  if (account.status === 'unopened') throw new Error('an event must open the account');
  const { lots, holds, balances } = account;
  expect(lots.reduce((sum, lot) => sum + lot.free, 0)).toBe(balances.available);
  expect(lots.reduce((sum, lot) => sum + lot.held, 0)).toBe(balances.reserved);
  expect(holds.reduce((sum, hold) => sum + hold.amount, 0)).toBe(balances.reserved);
  expect(balances.available + balances.reserved + balances.spent).toBe(balances.earned);
}

/** Every key again: the acknowledged answer, or that of what was written and never acknowledged, or a first one. */
async function checkRepeats(sent: readonly Sent[], url: string): Promise<void> {
  const before = new Set(await keysInLog());
  const queue = [...sent];
  const acknowledged = sent.filter(({ answer }) => answer?.status === 200);
  expect(acknowledged.length).toBeGreaterThan(KILLS);
  const repeat = async (): Promise<void> => {
    for (let command = queue.pop(); command !== undefined; command = queue.pop()) {
      const { answer, key } = command;
      const again = await send(url, SERVICE_KEY, command);
      if (answer?.status === 200) expect(again.body).toEqual(answer.body);
      if (answer?.status === 200 || before.has(key)) {
        expect(again.status).toBe(200);
        expect(again.headers.get('idempotency-replayed')).toBe('true');
      }
      expect(again.status).toBeLessThan(500);
    }
  };
  await Promise.all(Array.from({ length: 16 }, repeat));
  const after = await keysInLog();
  expect(new Set(after).size).toBe(after.length);
  // An acknowledged command is not done again: what is new was not acknowledged before.
  const settledBefore = new Set(acknowledged.map(({ key }) => key));
  for (const key of after) if (!before.has(key)) expect(settledBefore).not.toContain(key);
}

async function keysInLog(): Promise<readonly string[]> {
  const { rows } = await database.superuser.query<{ key: string }>(
    `select metadata::json ->> 'idempotencyKey' as key from ledger.events where type <> 'AccountOpened'`,
  );
  return rows.map(({ key }) => key);
}
