import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SCOPES } from '../../src/api/access.ts';
import { servicePool } from '../../src/database.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Ended, runCommandLine } from '../support/run-command-line.ts';

/* The command, as it is run: `npm run keys -- …`. */

const KEY = /^mk_([0-9a-f]{16})_[A-Za-z0-9_-]{43}\n$/;

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(() => database?.close());

const keys = (...args: readonly string[]): Promise<Ended> => runCommandLine('keys', args, database.url);

/** Makes or rotates a key as the command does; returns its text and id. */
async function shown(...args: readonly string[]): Promise<{ text: string; id: string; stderr: string }> {
  const { code, stdout, stderr } = await keys(...args);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(KEY) });
  return { text: stdout.trim(), id: KEY.exec(stdout)?.[1] ?? '', stderr };
}

/** All that is stored, as text. */
async function stored(): Promise<readonly string[]> {
  const { rows } = await database.superuser.query<{ row: string }>('select k::text as row from operational.service_keys k');
  return rows.map(({ row }) => row).toSorted();
}

type Row = { id: string; apps: string[]; scopes: string[]; hash: Buffer; ends_in: number | null; revoked: boolean };

async function rowsOf(name: string): Promise<readonly Row[]> {
  const { rows } = await database.superuser.query<Row>(
    `select id, apps, scopes, hash, revoked_at is not null as revoked,
            extract(epoch from ends_at - now())::float8 / 3600 as ends_in
     from operational.service_keys where name = $1 order by created_at`,
    [name],
  );
  return rows;
}

describe('create', () => {
  it('shows the key once, and stores its hash alone', async () => {
    const { text, id, stderr } = await shown('create', 'chat', '--app', 'chat', '--scope', 'credits:read,credits:write');
    expect(stderr).toBe('Key chat for chat with credits:read, credits:write. It is shown this once:\n');
    expect(await rowsOf('chat')).toEqual([
      {
        id,
        apps: ['chat'],
        scopes: ['credits:read', 'credits:write'],
        hash: createHash('sha256').update(text).digest(),
        ends_in: null,
        revoked: false,
      },
    ]);
    expect((await stored()).join()).not.toContain(text.split('_').at(2));
  });

  it('makes keys of several apps with every scope there is', async () => {
    const scopes = SCOPES.flatMap((scope) => ['--scope', scope]);
    await shown('create', 'gateway', '--app', 'chat', '--app', 'picture,chat', ...scopes);
    expect(await rowsOf('gateway')).toMatchObject([{ apps: ['chat', 'picture'], scopes: [...SCOPES] }]);
  });

  it.each<[string, readonly string[], RegExp]>([
    ['a name that is in force', ['chat', '--app', 'a', '--scope', 'credits:read'], /^A key chat is in force/],
    ['no app', ['new', '--scope', 'credits:read'], /^create needs --app and --scope/],
    ['no scope', ['new', '--app', 'a'], /^create needs --app and --scope/],
    ['an app that none can be', ['new', '--app', 'a b', '--scope', 'credits:read'], /^--app a b: /],
    ['a scope that there is none', ['new', '--app', 'a', '--scope', 'credits:print'], /^There is no scope credits:print/],
    ['the name of the key of old', ['MANA_SERVICE_KEY', '--app', 'a', '--scope', 'credits:read'], /a name is 1 to 64/],
    ['a name that looks like an id', ['0123456789abcdef', '--app', 'a', '--scope', 'credits:read'], /a name is 1 to 64/],
    ['no name', ['--app', 'a', '--scope', 'credits:read'], /^create needs a name/],
    ['two names', ['new', 'newer', '--app', 'a', '--scope', 'credits:read'], /one name is enough/],
    ['a flag that there is none', ['new', '--apps', 'a'], /--apps/],
  ])('refuses %s, and makes nothing', async (_, args, message) => {
    const before = await stored();
    const { code, stdout, stderr } = await keys('create', ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(await stored()).toEqual(before);
  });
});

describe('rotate', () => {
  it('makes a key like the old one, which is good for another 24 hours', async () => {
    const old = await shown('create', 'rotated', '--app', 'a,b', '--scope', 'credits:grant');
    const made = await shown('rotate', 'rotated');
    expect(made.text).not.toBe(old.text);
    const [before, after] = await rowsOf('rotated');
    expect(before).toMatchObject({ id: old.id, revoked: false });
    expect(before?.ends_in).toBeGreaterThan(23.9);
    expect(before?.ends_in).toBeLessThanOrEqual(24);
    expect(after).toMatchObject({ id: made.id, apps: ['a', 'b'], scopes: ['credits:grant'], ends_in: null, revoked: false });
  });

  it('lets the old one end when it is told to', async () => {
    await shown('create', 'until', '--app', 'a', '--scope', 'credits:read');
    const { stderr } = await shown('rotate', 'until', '--until', '2099-12-31T12:00:00+01:00');
    expect(stderr).toContain('the old one is good until 2099-12-31T11:00:00.000Z');
    // The key before the last keeps its own end.
    await shown('rotate', 'until', '--until', '2020-01-01T00:00:00Z');
    const { stdout } = await keys('list');
    expect(stdout).toMatch(/^until .* until 2099-12-31T11:00:00\.000Z /m);
    expect(stdout).toMatch(/^until .* ended 2020-01-01T00:00:00\.000Z /m);
    expect(stdout).toMatch(/^until .* in force /m);
  });

  it.each<[string, readonly string[], RegExp]>([
    ['a name that nobody has', ['nobody'], /^No key nobody is in force\.$/m],
    ['a time that is none', ['chat', '--until', 'tomorrow'], /^--until tomorrow: must be a time/],
  ])('refuses %s', async (_, args, message) => {
    const before = await stored();
    const { code, stdout, stderr } = await keys('rotate', ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(message);
    expect(await stored()).toEqual(before);
  });
});

describe('revoke', () => {
  it('ends every key of a name, the rotated ones with it', async () => {
    await shown('create', 'leaked', '--app', 'a', '--scope', 'credits:read');
    await shown('rotate', 'leaked');
    expect(await keys('revoke', 'leaked')).toMatchObject({ code: 0, stdout: expect.stringContaining('Revoked: 2 keys.') });
    expect(await rowsOf('leaked')).toMatchObject([{ revoked: true }, { revoked: true }]);
    // The name is free again.
    await shown('create', 'leaked', '--app', 'a', '--scope', 'credits:read');
  });

  it('ends one by its id', async () => {
    const old = await shown('create', 'one-of-two', '--app', 'a', '--scope', 'credits:read');
    await shown('rotate', 'one-of-two');
    expect(await keys('revoke', old.id)).toMatchObject({ code: 0, stdout: expect.stringContaining('Revoked: 1 key.') });
    expect(await rowsOf('one-of-two')).toMatchObject([{ id: old.id, revoked: true }, { revoked: false }]);
  });

  it('says so where there is none to end', async () => {
    expect(await keys('revoke', 'nobody')).toEqual({
      code: 1,
      stdout: '',
      stderr: 'There is no key nobody that could be revoked.\n',
    });
  });
});

describe('list', () => {
  it('shows whose keys there are, what they may do and when they were used, and nothing secret', async () => {
    const { id, text } = await shown('create', 'listed', '--app', 'a,b', '--scope', 'audit:read,credits:read');
    const lineOf = async () => (await keys('list')).stdout.split('\n').find((line) => line.includes(id));
    expect(await lineOf()).toMatch(/^listed +\w+ +a,b +in force +\d{4}-\S+Z +never +audit:read,credits:read$/);
    await database.superuser.query(`update operational.service_keys set last_used_at = '2026-05-04T03:02:01Z' where id = $1`, [
      id,
    ]);
    expect(await lineOf()).toContain('  2026-05-04T03:02:01.000Z  ');
    const { stdout } = await keys('list');
    expect(stdout).not.toContain(text.split('_').at(2));
    expect(stdout).not.toContain(createHash('sha256').update(text).digest('hex'));
  });

  it('says that there are none', async () => {
    const empty = await createTestDatabase();
    try {
      expect(await runCommandLine('keys', ['list'], empty.url)).toEqual({ code: 0, stdout: 'There are no keys.\n', stderr: '' });
    } finally {
      await empty.close();
    }
  });
});

it('explains itself, and refuses what it does not know', async () => {
  for (const args of [[], ['help'], ['create', '--help']]) {
    const { code, stdout } = await keys(...args);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('npm run keys -- create <name>') });
  }
  expect(await keys('delete', 'chat')).toMatchObject({ code: 1, stderr: expect.stringMatching(/^There is no command delete/) });
});

it('says what is missing where there is no database', async () => {
  expect(await runCommandLine('keys', ['list'], '')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringContaining('DATABASE_URL: is not set'),
  });
});

it('is the only one that changes keys: the service reads them, and notes when they were used', async () => {
  const { id } = await shown('create', 'guarded', '--app', 'a', '--scope', 'credits:read');
  const pool = servicePool(database.url, 'test', 1);
  try {
    await expect(
      pool.query('update operational.service_keys set last_used_at = now() where id = $1', [id]),
    ).resolves.toMatchObject({
      rowCount: 1,
    });
    for (const change of [
      `update operational.service_keys set scopes = '{privacy:erase}'`,
      'update operational.service_keys set revoked_at = null',
      'delete from operational.service_keys',
      `insert into operational.service_keys (id, name, apps, scopes, hash) values ('i', 'n', '{a}', '{}', decode(repeat('00', 32), 'hex'))`,
    ]) {
      await expect(pool.query(change)).rejects.toThrow('permission denied for table service_keys');
    }
  } finally {
    await pool.end();
  }
});
