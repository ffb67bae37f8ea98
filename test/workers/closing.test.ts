import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { lockWaits } from '../support/lock-waits.ts';
import { caughtUp, eventually, names, openWorkers, unapplied, work } from './working.ts';

/* Workers that are closed leave nothing behind: no connection to the database, nothing that keeps the process awake. */

let database: TestDatabase;
beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

/** In ms: closing must be done by then. */
const CLOSED_WITHIN = 15_000;
const LOOKS = 5_000;

type Left = { readonly connections: readonly string[]; readonly timers: number; readonly sockets: number };

async function left(): Promise<Left> {
  const { rows } = await database.superuser.query<{ application_name: string }>(
    `select application_name from pg_stat_activity where datname = current_database() and backend_type = 'client backend' order by 1`,
  );
  const resources = process.getActiveResourcesInfo();
  return {
    connections: rows.map((row) => row.application_name),
    timers: resources.filter((kind) => kind === 'Timeout').length,
    sockets: resources.filter((kind) => kind.startsWith('TCP')).length,
  };
}

/** Waits, without a timer that would be counted itself, until no more is left than was there before. */
async function nothingLeft(before: Left): Promise<void> {
  let now = await left();
  for (let looks = 0; looks < LOOKS && !(now.timers <= before.timers && now.sockets <= before.sockets); looks += 1)
    now = await left();
  expect(now.timers).toBeLessThanOrEqual(before.timers);
  expect(now.sockets).toBeLessThanOrEqual(before.sockets);
  expect(now.connections).toEqual(before.connections);
}

it(
  'in the middle of their work',
  async () => {
    const before = await left();
    const workers = await openWorkers(database.url);
    const working = work(workers.ledger, names('busy', 30));
    await eventually(async () => expect((await unapplied(database.superuser)).all).toBeGreaterThan(0));
    // Commands that come too late are refused; what was taken is finished.
    const outcome = working.catch((error: unknown) => error);
    await workers.close();
    await outcome;
    expect((await unapplied(database.superuser)).passedOver).toBe(0);
    await nothingLeft(before);
  },
  CLOSED_WITHIN,
);

it(
  'when everything is done',
  async () => {
    const before = await left();
    const workers = await openWorkers(database.url);
    await work(workers.ledger, names('done', 5));
    await caughtUp(database.superuser);
    await workers.close();
    await nothingLeft(before);
  },
  CLOSED_WITHIN,
);

it(
  'before they have begun',
  async () => {
    const before = await left();
    const workers = await openWorkers(database.url);
    await workers.close();
    await nothingLeft(before);
  },
  CLOSED_WITHIN,
);

it(
  'while a projection waits for a lock',
  async () => {
    const before = await left();
    const workers = await openWorkers(database.url);
    await database.superuser.query('begin; lock table read_model.grants in exclusive mode');
    await work(workers.ledger, names('waiting', 3));
    await eventually(async () => expect(await lockWaits(database.superuser)).toBeGreaterThan(0));
    const closing = workers.close();
    await database.superuser.query('commit');
    await closing;
    expect((await unapplied(database.superuser)).passedOver).toBe(0);
    await nothingLeft(before);
  },
  CLOSED_WITHIN,
);
