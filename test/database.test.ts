import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { servicePool } from '../src/database.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

it('a process is seen in its database however long it has nothing to do, by one connection of each pool', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const pool = servicePool(database.url, 'idle', 3);
  onTestFinished(async () => {
    vi.useRealTimers();
    await pool.end();
  });
  await Promise.all([1, 2, 3].map(() => pool.query('select pg_sleep(0.05)')));
  expect(pool.totalCount).toBe(3);
  vi.advanceTimersByTime(3_600_000);
  expect(pool.totalCount).toBe(1);
});
