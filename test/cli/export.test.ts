import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountStream } from '../../src/events/account-events.ts';
import { credits } from '../support/account-samples.ts';
import { giveCredits, granted, holdCredits, readOwn, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openLedger } from '../support/ledger.ts';
import { useManyTimes } from '../support/long-account.ts';
import { runCommandLine } from '../support/run-command-line.ts';
import { type Service, startService } from '../support/service.ts';

/* The command, as it is run: `npm run -s export -- <user>`. */

const SERVICES = '/api/v1/internal/credits';
const USER = 'export me/ä';

type Row = { readonly [name: string]: unknown };
type Document = { readonly [name: string]: unknown } & { readonly [list in 'keys' | 'events' | 'transactions']: readonly Row[] };

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  await database?.close();
});

async function exported(user: string): Promise<Document> {
  const { code, stdout, stderr } = await runCommandLine('export', [user], database.url);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Document;
}

const words = (rows: readonly Row[]) =>
  rows.map((row) => (row['personal'] === undefined ? row['data'] : row) as Row).map((row) => row['personal']);

describe('an account with a life behind it', () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({ databaseUrl: database.url, workers: true });
    const app = service.app('chat');
    await giveCredits(app, USER, 100, { reason: 'welcome', referenceId: 'export', description: 'Welcome, Ada' });
    await giveCredits(app, 'somebody-else', 7, { description: 'not for Ada’s eyes' });
    const kept = await holdCredits(app, USER, 10, { reason: 'a picture of Ada', metadata: { address: 'ada@example.com' } });
    granted(await app.post(`${SERVICES}/commit`, { reservationId: kept, amount: 4.5, description: 'her picture' }));
    const dropped = await holdCredits(app, USER, 20);
    const last = granted(await app.post(`${SERVICES}/refund-reservation`, { reservationId: dropped, reason: 'Ada cried' }));
    await readOwn(app, `${SERVICES}/balance/${encodeURIComponent(USER)}`, { 'x-min-revision': tokenOf(last) });
  });

  afterAll(async () => {
    await service?.close();
  });

  it('is all there, with its words: account, balance, history, grants, holds, usage, events, keys', async () => {
    const all = await exported(USER);
    const TIME = expect.stringMatching(/^\d{4}-.*Z$/) as unknown;
    expect(all).toMatchObject({
      userId: USER,
      exportedAt: TIME,
      microCreditsPerCredit: 1_000_000,
      account: { stream: accountStream(USER), revision: 5 },
      keys: [{ createdAt: TIME, erasedAt: null, erasedBy: null }],
      balances: [{ userId: USER, revision: 5, available: 95_500_000, reserved: 0, earned: 100_000_000, spent: 4_500_000 }],
      grants: [{ source: 'promo', reason: 'welcome', reference: 'export', amount: 100_000_000, available: 95_500_000 }],
      checkpoints: [{ stream: accountStream(USER), revision: 5 }],
    });
    expect(all['reservations']).toMatchObject([
      { revision: 2, status: 'consumed', amount: 10_000_000, taken: 4_500_000, createdAt: TIME },
      { revision: 4, status: 'released', amount: 20_000_000, released: 20_000_000, personal: null },
    ]);
    expect(all.transactions.map(({ revision, type, amount }) => [revision, type, amount])).toEqual([
      [1, 'grant', 100_000_000],
      [2, 'reserve', -10_000_000],
      [3, 'usage', -4_500_000],
      [4, 'reserve', -20_000_000],
      [5, 'release', 20_000_000],
    ]);
    const SAID = [
      { description: 'Welcome, Ada' },
      { reason: 'a picture of Ada', metadata: { address: 'ada@example.com' } },
      { description: 'her picture' },
      null,
      { reason: 'Ada cried' },
    ];
    expect(words(all.transactions)).toEqual(SAID);
    expect(words(all.events)).toEqual([undefined, ...SAID]);
    const stored = await service.context.store.readStream(accountStream(USER), { limit: 10 });
    expect(all.events.map(({ id, type, hash, metadata }) => ({ id, type, hash, metadata }))).toEqual(
      stored.map(({ id, type, hash, metadata }) => ({
        id,
        type,
        hash: hash.toString('hex'),
        metadata: JSON.parse(metadata) as Row,
      })),
    );
    expect(JSON.stringify(all)).not.toMatch(/somebody-else|not for Ada/);
  });

  it('names every read model that knows users or streams, so that none is forgotten', async () => {
    const { rows } = await database.superuser.query<{ name: string }>(
      `select distinct table_name as name from information_schema.columns
       where table_schema = 'read_model' and column_name in ('user_id', 'stream')`,
    );
    expect(rows.length).toBeGreaterThan(5);
    const all = await exported(USER);
    const snakeCased = Object.keys(all).map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
    expect(snakeCased).toEqual(expect.arrayContaining(rows.map(({ name }) => name)));
  });

  it('says when its keys were erased and by whom, and its words are null', async () => {
    const user = 'erased-before';
    await giveCredits(service.app(), user, 5, { description: 'gone' });
    await service.context.personal.erase(user, 'the test');
    await giveCredits(service.app(), user, 5, { description: 'said later' });
    const { keys, events } = await exported(user);
    expect(keys.map(({ erasedAt, erasedBy }) => [typeof erasedAt, erasedBy])).toEqual([
      ['string', 'the test'],
      ['object', null],
    ]);
    expect(words(events)).toEqual([undefined, null, { description: 'said later' }]);
  });
});

it('says of somebody whom nobody knows that nothing is held', async () => {
  const all = await exported('nobody');
  expect(all).toMatchObject({ userId: 'nobody', account: null, keys: [], events: [], balances: [], transactions: [] });
});

it('needs no more memory for 100,000 events', async () => {
  const user = 'long';
  const count = 100_000;
  const ledger = await openLedger(database.url);
  try {
    const { revision: lot } = await ledger.account(user).grant(credits(1));
    const personal = await ledger.context.personal.seal(user, accountStream(user), { description: 'each of them' });
    await useManyTimes(ledger.context.store, { user, lot, count, personal });
  } finally {
    await ledger.close();
  }
  // The document is larger than what the process may hold.
  const { code, stdout, stderr } = await runCommandLine('export', [user], database.url, ['--max-old-space-size=56']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.length).toBeGreaterThan(75 * 1024 * 1024);
  const { events } = JSON.parse(stdout) as Document;
  expect(events).toHaveLength(count + 2);
  expect(words(events.slice(-1))).toEqual([{ description: 'each of them' }]);
}, 120_000);

it.each([[[]], [['one', 'two']], [['']]])('names one person: %j', async (users: string[]) => {
  const { code, stdout, stderr } = await runCommandLine('export', users, database.url);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toBe('Name one user: npm run -s export -- <user>\n');
});

it.each([
  ['', /DATABASE_URL is not set/],
  ['postgres://nobody:nothing@127.0.0.1:1/none', /dora can't be exported: .*ECONNREFUSED/],
])('says so where it could not: "%s"', async (url, message) => {
  const { code, stdout, stderr } = await runCommandLine('export', ['dora'], url);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(message);
});
