import { userInfo } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createPersonal } from '../../src/events/personal.ts';
import { createTestDatabase, type TestDatabase, type TestStore, testStore } from '../support/database.ts';
import { runCommandLine } from '../support/run-command-line.ts';

/* The command, as it is run: `npm run erase -- <user>`. */

const WORDS = { description: 'Ada’s first picture' };

let database: TestDatabase;
let test: TestStore;

beforeAll(async () => {
  database = await createTestDatabase();
  test = testStore(database.url);
});

afterAll(async () => {
  await test?.close();
  await database?.close();
});

const erase = (...users: string[]) => runCommandLine('erase', users, database.url);
const seal = async (user: string) => ({
  stream: 'stream',
  ciphertext: await createPersonal(test.pool).seal(user, 'stream', WORDS),
});
const open = async (...sealed: { stream: string; ciphertext: string | null }[]) => createPersonal(test.pool).open(sealed);

it('deletes the keys of one person, and says who did it', async () => {
  const [hers, his] = [await seal('ada'), await seal('bob')];
  const { code, stdout, stderr } = await erase('ada');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toBe('Erased 1 key of ada. Running processes may show their words for 30 s more.\n');
  expect(await open(hers, his)).toEqual([null, WORDS]);
  const { rows } = await test.pool.query(
    `select subject, key is null as gone, erased_by, now() - erased_at < '5 minutes' as lately from ledger.personal_keys order by 1`,
  );
  expect(rows).toEqual([
    { subject: 'ada', gone: true, erased_by: `cli:${userInfo().username}`, lately: true },
    { subject: 'bob', gone: false, erased_by: null, lately: null },
  ]);
});

it('may be repeated, and says where there was nothing', async () => {
  await seal('carl');
  expect((await erase('carl')).stdout).toMatch(/^Erased 1 key/);
  expect(await erase('carl')).toEqual({ code: 0, stdout: 'There is nothing to erase of carl.\n', stderr: '' });
  expect(await erase('nobody')).toEqual({ code: 0, stdout: 'There is nothing to erase of nobody.\n', stderr: '' });
});

it.each([[[]], [['one', 'two']], [['']]])('names one person: %j', async (users: string[]) => {
  const { code, stdout, stderr } = await erase(...users);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toBe('Name one user: npm run erase -- <user>\n');
});

it.each([
  ['', /DATABASE_URL is not set/],
  ['postgres://nobody:nothing@127.0.0.1:1/none', /dora can't be erased: .*ECONNREFUSED/],
])('says so where it could not: "%s"', async (url, message) => {
  const { code, stdout, stderr } = await runCommandLine('erase', ['dora'], url);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(message);
});
