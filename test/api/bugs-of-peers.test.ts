import { afterAll, beforeAll, expect, it } from 'vitest';
import { accountStream } from '../../src/events/account-events.ts';
import { readEvent } from '../../src/events/event-types.ts';
import type { Position, PositionedEvent, Store } from '../../src/events/store.ts';
import { rebuilt } from '../cli/rebuilding.ts';
import { giveCredits, granted, holdCredits, readOwn, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase, type TestStore } from '../support/database.ts';
import { eventsOf, faultsOf, openLogOf } from '../support/log-of.ts';
import { type Service, startService } from '../support/service.ts';

/*
 * Bugs that other ledgers published about themselves, each under its name: none may ever be one of ours. Two services
 * share the log, as two processes would.
 */

const SERVICES = '/api/v1/internal/credits';
const AT_ONCE = 12;

let database: TestDatabase;
let log: TestStore;
let services: readonly Service[];

beforeAll(async () => {
  database = await createTestDatabase();
  log = await openLogOf(database.url);
  services = [
    await startService({ databaseUrl: database.url, workers: true }),
    await startService({ databaseUrl: database.url }),
  ];
});

afterAll(async () => {
  for (const service of services ?? []) await service.close();
  await log?.close();
  await database?.close();
});

const one = () => (services[0] as Service).app();

/** Posts through both services, many times at once. */
function postAtOnce(path: string, bodyOf: (index: number) => object) {
  return Promise.all(
    Array.from({ length: AT_ONCE }, (_, index) =>
      (services[index % 2] as Service).app().post(`${SERVICES}/${path}`, bodyOf(index)),
    ),
  );
}

async function balanceOf(userId: string) {
  const { body } = granted(await one().post(`${SERVICES}/init`, { userId }));
  return body as { balance: number; reserved: number; totalSpent: number };
}

async function typesOf(userId: string): Promise<readonly string[]> {
  const events = await eventsOf((services[0] as Service).context.store, accountStream(userId));
  return events.map((event) => readEvent(event).type);
}

it('double void of a hold', async () => {
  await giveCredits(one(), 'void', 100);
  const reservationId = await holdCredits(one(), 'void', 40);
  const answers = await postAtOnce('refund-reservation', () => ({ reservationId }));
  for (const answer of answers) expect(answer).toMatchObject({ status: 200, body: { released: 40, balance: 100 } });
  expect(await balanceOf('void')).toMatchObject({ balance: 100, reserved: 0 });
  expect((await typesOf('void')).filter((type) => type === 'ReservationReleased')).toHaveLength(1);
});

it('overspend through holds', async () => {
  await giveCredits(one(), 'overspend', 50);
  const answers = await postAtOnce('reserve', () => ({ userId: 'overspend', amount: 10 }));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
  expect(answers.filter(({ status }) => status === 402)).toHaveLength(AT_ONCE - 5);
  expect(await one().post(`${SERVICES}/use`, { userId: 'overspend', amount: 0.000001 })).toMatchObject({ status: 402 });
});

it('commit of a rejected hold', async () => {
  await giveCredits(one(), 'rejected', 5);
  const refused = await one().post(`${SERVICES}/reserve`, { userId: 'rejected', amount: 6 });
  expect(refused.status).toBe(402);
  for (const revision of [1, 2, 3]) {
    const answer = await one().post(`${SERVICES}/commit`, { reservationId: `rsv_${revision}_account-rejected` });
    expect(answer).toMatchObject({ status: 404, body: { error: 'reservation_not_found' } });
  }
  expect(await balanceOf('rejected')).toMatchObject({ balance: 5, totalSpent: 0 });
});

it('commit above the hold', async () => {
  await giveCredits(one(), 'above', 15);
  const reservationId = await holdCredits(one(), 'above', 10);
  const tooMuch = await one().post(`${SERVICES}/commit`, { reservationId, amount: 16 });
  expect(tooMuch).toMatchObject({ status: 402, body: { requiredCredits: 16, availableCredits: 15 } });
  expect(await balanceOf('above')).toMatchObject({ balance: 5, reserved: 10, totalSpent: 0 });
  granted(await one().post(`${SERVICES}/commit`, { reservationId, amount: 15 }));
  expect(await balanceOf('above')).toMatchObject({ balance: 0, reserved: 0, totalSpent: 15 });
});

it('late payment after a void', async () => {
  await giveCredits(one(), 'late', 10);
  const reservationId = await holdCredits(one(), 'late', 10);
  granted(await one().post(`${SERVICES}/refund-reservation`, { reservationId }));
  const late = await one().post(`${SERVICES}/commit`, { reservationId });
  expect(late).toMatchObject({ status: 409, body: { error: 'reservation_already_resolved' } });
  expect(await balanceOf('late')).toMatchObject({ balance: 10, totalSpent: 0 });
});

it('double commit under concurrency', async () => {
  await giveCredits(one(), 'double', 100);
  const reservationId = await holdCredits(one(), 'double', 10);
  const answers = await postAtOnce('commit', () => ({ reservationId, amount: 30 }));
  for (const { status, body } of answers) {
    expect(status).toBe(200);
    expect(body).toEqual(answers[0]?.body);
  }
  expect(await balanceOf('double')).toMatchObject({ balance: 70, totalSpent: 30 });
});

it('revert answering 500', async () => {
  await giveCredits(one(), 'revert', 10);
  for (const transactionId of [
    'txn_0_account-revert',
    'txn_1_account-revert',
    'txn_9_account-revert',
    'txn_1_account-x',
    'x',
    '💥',
  ]) {
    const answer = await one().post(`${SERVICES}/refund`, { userId: 'revert', amount: 1, transactionId });
    expect(answer).toMatchObject({ status: 404, body: { error: 'transaction_not_found' } });
  }
  expect(await balanceOf('revert')).toMatchObject({ balance: 10 });
});

it('chargeback restoring the wrong amount, and a refund swallowed with a 200', async () => {
  await giveCredits(one(), 'refund', 10);
  const reservationId = await holdCredits(one(), 'refund', 8);
  // Six of eight were taken: six can come back, however many ask.
  const { transactionId } = granted(await one().post(`${SERVICES}/commit`, { reservationId, amount: 6 })).body as {
    transactionId: string;
  };
  const answers = await postAtOnce('refund', () => ({ userId: 'refund', amount: 2, transactionId }));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(3);
  for (const answer of answers.filter(({ status }) => status !== 200)) {
    expect(answer).toMatchObject({ status: 422, body: { error: 'refund_exceeds_consumption' } });
  }
  expect(await balanceOf('refund')).toMatchObject({ balance: 10, totalSpent: 0 });
});

it('a key replayed as 409', async () => {
  await giveCredits(one(), 'key', 10);
  const answers = await postAtOnce('use', () => ({ userId: 'key', amount: 3, idempotencyKey: 'the same' }));
  for (const { status, body } of answers) {
    expect(status).toBe(200);
    expect(body).toEqual(answers[0]?.body);
  }
  expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(AT_ONCE - 1);
  expect(await balanceOf('key')).toMatchObject({ balance: 7, totalSpent: 3 });
});

it('grants recurring twice', async () => {
  const body = { userId: 'recurring', amount: 5, reason: 'monthly', referenceId: '2026-11' };
  const answers = await postAtOnce('grant', (index) => ({ ...body, idempotencyKey: `run-${index}` }));
  const first = answers.filter((answer) => !(answer.body as { alreadyGranted: boolean }).alreadyGranted);
  expect(first).toHaveLength(1);
  expect(await balanceOf('recurring')).toMatchObject({ balance: 5 });
});

it('events skipped by the high-water mark', async () => {
  // Many writers at once in both services: whoever reads behind each one's own write sees it, and all before it.
  const users = Array.from({ length: 40 }, (_, index) => `mark-${index}`);
  const { store } = (services[0] as Service).context;
  const start = await store.lastPosition();
  const reader = readBehind(store, start);
  await Promise.all(users.map((userId, index) => giveCredits((services[index % 2] as Service).app(), userId, 10)));
  const uses = await Promise.all(
    users.map(async (userId, index) => {
      const through = (services[index % 2] as Service).app();
      const [answer] = await Promise.all([
        through.post(`${SERVICES}/use`, { userId, amount: 1 }),
        through.post(`${SERVICES}/use`, { userId, amount: 1 }),
      ]);
      return { userId, answer: granted(answer) };
    }),
  );
  for (const { userId, answer } of uses) {
    const seen = granted(await readOwn(one(), `${SERVICES}/balance/${userId}`, { 'x-min-revision': tokenOf(answer) }));
    expect((seen.body as { balance: number }).balance).toBeLessThanOrEqual(9);
  }
  // And whoever followed the log meanwhile has passed over nothing: each account has been opened, given and used twice.
  const seen = await reader.toTheEnd();
  expect(seen).toEqual(await store.readAll({ after: start, limit: 1_000 }));
  expect(seen).toHaveLength(users.length * 4);
});

it('a rebuild that stops reads', async () => {
  await giveCredits(one(), 'rebuild', 1_000);
  await expect.poll(async () => (await one().get(`${SERVICES}/balance/rebuild`)).body).toMatchObject({ balance: 1_000 });
  const reads = untilTold(async (index) => {
    const through = (services[index % 2] as Service).app();
    const { balance, totalSpent } = granted(await through.get(`${SERVICES}/balance/rebuild`)).body as Read;
    const { length } = granted(await through.get(`${SERVICES}/transactions/rebuild?limit=200`)).body as unknown[];
    return { balance, totalSpent, length };
  });
  // Whoever has just spent sees it, whichever generation answers.
  const uses = untilTold(async (index) => {
    const through = (services[index % 2] as Service).app();
    const used = granted(await through.post(`${SERVICES}/use`, { userId: 'rebuild', amount: 0.01 }));
    const seen = await readOwn(through, `${SERVICES}/balance/rebuild`, { 'x-min-revision': tokenOf(used) });
    return { is: (granted(seen).body as Read).balance, written: (used.body as { newBalance: Read }).newBalance.balance };
  });
  for (const command of ['start', 'switch', 'back', 'switch']) await rebuilt(database, command);
  const [read, used] = [await reads.end(), await uses.end()];
  expect(await rebuilt(database, 'compare')).toContain('no difference');
  await rebuilt(database, 'drop');

  expect(read.length).toBeGreaterThan(50);
  for (const [index, { totalSpent, length }] of read.entries()) {
    expect(totalSpent).toBeGreaterThanOrEqual(read[index - 1]?.totalSpent ?? 0);
    expect(length).toBeGreaterThanOrEqual(read[index - 1]?.length ?? 0);
  }
  expect(used.length).toBeGreaterThan(20);
  for (const { is, written } of used) expect(is).toBe(written);
}, 120_000);

type Read = { readonly balance: number; readonly totalSpent: number };

/** Does something again and again until it is told to end, which rejects with the first that failed. */
function untilTold<Result>(work: (index: number) => Promise<Result>) {
  const results: Result[] = [];
  let ended = false;
  const working = (async () => {
    for (let index = 0; !ended; index += 1) results.push(await work(index));
  })();
  // It is told at the end.
  working.catch(() => undefined);
  return {
    async end(): Promise<readonly Result[]> {
      ended = true;
      await working;
      return results;
    },
  };
}

it('and the log that all of it left behind is sound', async () => {
  expect(await faultsOf(log)).toEqual([]);
});

/** Reads the log a few events at a time while it is written, each page behind the last event that was seen. */
function readBehind(store: Store, start: Position) {
  const events: PositionedEvent[] = [];
  let ended = false;
  const reading = (async () => {
    for (;;) {
      const isLast = ended;
      const page = await store.readAll({ after: events.at(-1)?.position ?? start, limit: 7 });
      events.push(...page);
      if (isLast && page.length === 0) return;
    }
  })();
  return {
    async toTheEnd(): Promise<readonly PositionedEvent[]> {
      ended = true;
      await reading;
      return events;
    },
  };
}
