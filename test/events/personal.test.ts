import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import type pg from 'pg';
import { servicePool } from '../../src/database.ts';
import { createPersonal } from '../../src/events/personal.ts';
import { createRequestHashes } from '../../src/events/request-hash.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';

const STREAM = 'account-ada';
const WORDS = { description: 'for Ada’s garden', metadata: { note: 'roses 🌹', count: 3 } };

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = servicePool(database.url, 'personal', 4);
});

afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

afterAll(async () => {
  await pool.end();
  await database.close();
});

test('words come back as they were, in another process as well', async () => {
  const ciphertext = await createPersonal(pool).seal('ada', STREAM, WORDS);
  expect(ciphertext).not.toContain('garden');
  expect(await createPersonal(pool).open([{ stream: STREAM, ciphertext }])).toEqual([WORDS]);
});

test('where there is nothing to say nothing is encrypted, and no key made', async () => {
  expect(await createPersonal(pool).seal('nobody', 'account-nobody', { description: undefined })).toBeNull();
  const { rowCount } = await pool.query(`select from ledger.personal_keys where subject = 'nobody'`);
  expect(rowCount).toBe(0);
});

test('a subject has one key, however many processes meet it first at once', async () => {
  const sealed = await Promise.all(Array.from({ length: 8 }, () => createPersonal(pool).seal('bob', 'account-bob', WORDS)));
  const keys = new Set(sealed.map((ciphertext) => ciphertext?.split('.')[1]));
  expect(keys.size).toBe(1);
  // The same words twice are two ciphertexts: nobody sees that they are the same.
  expect(new Set(sealed).size).toBe(sealed.length);
});

test('a ciphertext belongs to its stream', async () => {
  const personal = createPersonal(pool);
  const ciphertext = await personal.seal('ada', STREAM, WORDS);
  await expect(personal.open([{ stream: 'account-eve', ciphertext }])).rejects.toThrow();
});

test('where the key is gone the words are null, and others’ stay', async () => {
  const personal = createPersonal(pool);
  const [erased, kept] = [await personal.seal('carl', 'account-carl', WORDS), await personal.seal('ada', STREAM, WORDS)];
  await database.superuser.query(
    `update ledger.personal_keys set key = null, erased_at = now(), erased_by = 'x' where subject = 'carl'`,
  );
  const opened = await createPersonal(pool).open([
    { stream: 'account-carl', ciphertext: erased },
    { stream: STREAM, ciphertext: kept },
    { stream: STREAM, ciphertext: null },
  ]);
  expect(opened).toEqual([null, WORDS, null]);
  // A later word of the same person is under a new key.
  const later = await createPersonal(pool).seal('carl', 'account-carl', WORDS);
  expect(later?.split('.')[1]).not.toBe(erased?.split('.')[1]);
});

test('a word whose key was at hand when the call began is read, though the key’s time runs out on the way', async () => {
  const passTime = holdTime();
  const writer = createPersonal(pool);
  const sealed = [
    { stream: STREAM, ciphertext: await writer.seal('ada', STREAM, WORDS) },
    { stream: 'account-dora', ciphertext: await writer.seal('dora', 'account-dora', WORDS) },
  ];
  const slow: Pick<pg.Pool, 'query'> = Object.create(pool, {
    query: {
      value: async (text: string, values: unknown[]) => {
        const result = await pool.query(text, values);
        passTime(2_000);
        return result;
      },
    },
  });
  const reader = createPersonal(slow as pg.Pool);
  expect(await reader.open(sealed.slice(0, 1))).toEqual([WORDS]);
  passTime(29_000);
  expect(await reader.open(sealed)).toEqual([WORDS, WORDS]);
});

test('a request hash tells the same request from another, under whichever secret it was made', async () => {
  const request = { type: 'UseCredits', body: { userId: 'ada', amount: 3 } };
  const before = (await createRequestHashes(pool)).of(request);
  expect(before).toMatch(/^1\./);
  await database.superuser.query(
    `insert into ledger.secrets (name, version, value) values ('request-hash', 2, '\\x00112233445566778899')`,
  );
  const hashes = await createRequestHashes(pool);
  expect(hashes.of(request)).toMatch(/^2\./);
  expect(hashes.matches(before, request)).toBe(true);
  // The order of members is nothing that a caller chose.
  expect(hashes.matches(before, { ...request, body: { amount: 3, userId: 'ada' } })).toBe(true);
  expect(hashes.matches(before, { ...request, body: { userId: 'ada', amount: 4 } })).toBe(false);
  expect(hashes.matches(before, { ...request, type: 'ReserveCredits' })).toBe(false);
  expect(hashes.matches(null, request)).toBe(false);
});

test('the service can neither change nor remove a secret or a key', async () => {
  for (const table of ['secrets', 'personal_keys']) {
    await expect(pool.query(`delete from ledger.${table}`)).rejects.toThrow('permission denied');
    await expect(pool.query(`update ledger.${table} set created_at = now()`)).rejects.toThrow('permission denied');
  }
});

/** Time passes when it is told to, so that nobody has to wait for it. */
function holdTime(): (milliseconds: number) => void {
  let now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  return (milliseconds) => {
    now += milliseconds;
    // The cache of keys looks at the clock once a millisecond.
    vi.advanceTimersByTime(1);
  };
}
