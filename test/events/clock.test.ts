import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { servicePool } from '../../src/database.ts';
import { createClock } from '../../src/events/clock.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const MINUTE = 60_000;

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

async function databaseNow(): Promise<number> {
  const { rows } = await database.superuser.query<{ now: number }>(
    'select extract(epoch from clock_timestamp())::float8 * 1000 as now',
  );
  return rows[0]?.now ?? Number.NaN;
}

it.each([
  ['forward', 10 * MINUTE],
  ['back', -10 * MINUTE],
])('goes on as before where the machine’s clock is set %s', async (_, step) => {
  const pool = servicePool(database.url, 'clock', 1);
  onTestFinished(() => pool.end());
  const clock = await createClock(pool);
  onTestFinished(() => clock.close());
  const real = Date.now.bind(Date);
  onTestFinished(() => void vi.restoreAllMocks());
  vi.spyOn(Date, 'now').mockImplementation(() => real() + step);
  // It is measured anew meanwhile, which is to change nothing.
  for (let round = 0; round < 50; round += 1) expect(Math.abs(clock.now() - (await databaseNow()))).toBeLessThan(MINUTE);
});
