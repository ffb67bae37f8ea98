import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type pg from 'pg';
import { servicePool } from '../../src/database.ts';
import { createPersonal, KEYS_KEPT_FOR, type Personal } from '../../src/events/personal.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

/* Erasing is deleting keys. Each `createPersonal` is what one process has. */

const WORDS = { description: 'for Ada’s garden' };

let database: TestDatabase;
let pool: pg.Pool;
let people = 0;
let person: string;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = servicePool(database.url, 'erasure', 8);
});

beforeEach(() => {
  people += 1;
  person = `person-${people}`;
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

afterAll(async () => {
  await pool.end();
  await database.close();
});

const seal = async (personal: Personal) => ({ stream: 'stream', ciphertext: await personal.seal(person, 'stream', WORDS) });

type Tombstone = { key: Buffer | null; erased_at: Date | null; erased_by: string | null };

async function keysOf(subject: string): Promise<readonly Tombstone[]> {
  const { rows } = await pool.query<Tombstone>(
    'select key, erased_at, erased_by from ledger.personal_keys where subject = $1 order by created_at, erased_at',
    [subject],
  );
  return rows;
}

test('the process that erases reads nothing any more, at once, and what comes later is under a new key', async () => {
  const personal = createPersonal(pool);
  const before = await seal(personal);
  const others = await personal.seal('somebody else', 'stream', WORDS);
  expect(await personal.open([before])).toEqual([WORDS]);
  expect(await personal.erase(person, 'the test')).toBe(1);
  expect(await personal.open([before, { stream: 'stream', ciphertext: others }])).toEqual([null, WORDS]);
  const after = await seal(personal);
  expect(await personal.open([before, after])).toEqual([null, WORDS]);
  const [tombstone, current] = await keysOf(person);
  expect(tombstone).toEqual({ key: null, erased_at: expect.any(Date), erased_by: 'the test' });
  expect(current).toEqual({ key: expect.any(Buffer), erased_at: null, erased_by: null });
});

test('erasing again harms nothing: who erased first, and when, stays', async () => {
  const personal = createPersonal(pool);
  await seal(personal);
  await personal.erase(person, 'first');
  const once = await keysOf(person);
  expect(await personal.erase(person, 'second')).toBe(0);
  expect(await createPersonal(pool).erase(person, 'third')).toBe(0);
  expect(await keysOf(person)).toEqual(once);
  expect(await personal.erase('nobody', 'fourth')).toBe(0);
  expect(await keysOf('nobody')).toEqual([]);
});

test('another process shows the words for as long as it keeps keys at hand, and no longer', async () => {
  let now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const passTime = (milliseconds: number) => {
    now += milliseconds;
    vi.advanceTimersByTime(1);
  };
  const other = createPersonal(pool);
  const sealed = await seal(other);
  await createPersonal(pool).erase(person, 'the test');
  passTime(KEYS_KEPT_FOR - 1_000);
  expect(await other.open([sealed])).toEqual([WORDS]);
  passTime(1_001);
  expect(await other.open([sealed])).toEqual([null]);
});

test.each(['open', 'seal'] as const)(
  'a key that was read before it was erased, and comes after, is not kept: %s',
  async (what) => {
    const sealed = await seal(createPersonal(pool));
    const slow = heldUp(pool, 'select id, key');
    const personal = createPersonal(slow.pool);
    const early = what === 'open' ? personal.open([sealed]) : seal(personal);
    await slow.answered;
    expect(await personal.erase(person, 'the test')).toBe(1);
    slow.letGo();
    await early;
    expect(await personal.open([sealed])).toEqual([null]);
    expect(await personal.open([await seal(personal)])).toEqual([WORDS]);
  },
);

test('a key that is erased as it is made is made again', async () => {
  const other = createPersonal(pool);
  const steps: ((text: string) => Promise<unknown>)[] = [
    // Nothing is found; then another process makes a key; then it is erased before it is found.
    async () => undefined,
    async () => seal(other),
    async () => other.erase(person, 'the test'),
  ];
  const meddled = intercepted(pool, async (text, go) => {
    await steps.shift()?.(text);
    return go();
  });
  const personal = createPersonal(meddled);
  expect(await personal.open([await seal(personal)])).toEqual([WORDS]);
  expect(steps).toEqual([]);
  expect((await keysOf(person)).map(({ key }) => key === null)).toEqual([true, false]);
});

test('sealing and erasing in many processes at once leaves every key whole or gone, and every word with its key', async () => {
  const processes = Array.from({ length: 6 }, () => createPersonal(pool));
  const sealed = await Promise.all(
    processes.flatMap((personal, index) =>
      Array.from({ length: 10 }, async (_, turn) => {
        if ((turn + index) % 4 === 0) await personal.erase(person, `process ${index}`);
        return seal(personal);
      }),
    ),
  );
  const keys = await keysOf(person);
  expect(keys.filter(({ erased_at: at }) => at === null).length).toBeLessThanOrEqual(1);
  for (const { key, erased_at: at, erased_by: by } of keys) {
    expect([key?.length, at !== null, by !== null]).toEqual(key === null ? [undefined, true, true] : [32, false, false]);
  }
  // Each word is under a key that stands or stood, and readable where it stands.
  const { rows } = await pool.query<{ id: string; stands: boolean }>(
    'select id, key is not null as stands from ledger.personal_keys where subject = $1',
    [person],
  );
  const stands = new Map(rows.map((row) => [row.id, row.stands]));
  const opened = await createPersonal(pool).open(sealed);
  expect(opened).toEqual(sealed.map(({ ciphertext }) => (stands.get(ciphertext?.split('.')[1] ?? '') === true ? WORDS : null)));
  expect(sealed.every(({ ciphertext }) => stands.has(ciphertext?.split('.')[1] ?? ''))).toBe(true);
  await processes[0]?.erase(person, 'the last');
  expect((await createPersonal(pool).open(sealed)).every((words) => words === null)).toBe(true);
});

test.each([
  `update ledger.personal_keys set erased_by = 'nobody'`,
  'delete from ledger.personal_keys',
  `insert into ledger.personal_keys (subject, erased_at, erased_by) values ('x', now(), 'forged')`,
  `insert into ledger.personal_keys (subject, key, created_at) values ('x', '\\x00', now())`,
])('the service makes keys and erases, and has no other right to them: %s', async (statement) => {
  await expect(pool.query(statement)).rejects.toMatchObject({ code: '42501' });
});

test('nobody erases without a name', async () => {
  const personal = createPersonal(pool);
  const sealed = await seal(personal);
  await expect(personal.erase(person, '')).rejects.toThrow('known who erases');
  await expect(pool.query('select ledger.erase_person($1, null)', [person])).rejects.toMatchObject({ code: '23514' });
  expect(await createPersonal(pool).open([sealed])).toEqual([WORDS]);
});

type Query = (asked: string | pg.QueryConfig, values: unknown[]) => Promise<unknown>;

/** A pool with something between it and its queries. */
function intercepted(pool: pg.Pool, between: (text: string, go: () => Promise<unknown>) => Promise<unknown>): pg.Pool {
  const query: Query = (asked, values) =>
    between(typeof asked === 'string' ? asked : asked.text, () => pool.query(asked as pg.QueryConfig, values));
  return Object.create(pool, { query: { value: query } }) as pg.Pool;
}

/** A pool whose first answer to a query that begins so has come from Postgres, and is handed on when it is let go. */
function heldUp(pool: pg.Pool, beginning: string) {
  let letGo = () => undefined as void;
  const gate = new Promise<void>((resolve) => (letGo = resolve));
  let markAnswered = () => undefined as void;
  const answered = new Promise<void>((resolve) => (markAnswered = resolve));
  let isFirst = true;
  const slow = intercepted(pool, async (text, go) => {
    const answer = await go();
    if (!isFirst || !text.startsWith(beginning)) return answer;
    isFirst = false;
    markAnswered();
    await gate;
    return answer;
  });
  return { pool: slow, answered, letGo: () => letGo() };
}
