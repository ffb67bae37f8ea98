import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { canReach } from '../../src/embedded/account.ts';
import { SHARED_FOLDER } from '../../src/embedded/binaries.ts';
import { granted } from '../support/api-client.ts';
import { makeHome } from '../support/own-cluster.ts';
import { killAll, postgresOn, ROOT } from './children.ts';
import { type Dev, killPostgres, ready, removeHome, startDevChild } from './dev-process.ts';

/* The development command as root and as a user without rights. Only root can be both. */

const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

let folder: string;

beforeAll(() => {
  folder = makeHome();
});

afterEach(killAll);

afterAll(async () => {
  killAll();
  await removeHome(folder);
});

function ownerOf(pid: number | undefined): number {
  return Number(execFileSync('ps', ['-o', 'uid=', '-p', String(pid)], { encoding: 'utf8' }));
}

async function works(dev: Dev): Promise<void> {
  granted(await dev.user.post('/api/v1/credits/use', { amount: 1 }));
}

async function stop({ child }: Dev, home: string): Promise<void> {
  child.kill('SIGTERM');
  expect(await child.ended()).toEqual({ code: 0, signal: null });
  expect(postgresOn(home)).toBeUndefined();
}

describe.runIf(isRoot)('as root', { timeout: 90_000 }, () => {
  it('runs Postgres under another account', async () => {
    const home = join(folder, 'root');
    const dev = await ready(startDevChild(home));
    expect(ownerOf(postgresOn(home))).not.toBe(0);
    expect(statSync(join(home, 'keys.json')).mode & 0o777).toBe(0o600);
    await works(dev);
    await stop(dev, home);
  });

  it('keeps the data elsewhere where that account cannot reach the data folder, with a link to it', async () => {
    const closed = join(folder, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    const home = join(closed, 'data');
    const existed = existsSync(SHARED_FOLDER);
    try {
      const first = await ready(startDevChild(home));
      expect(lstatSync(join(home, 'postgres')).isSymbolicLink()).toBe(true);
      expect(realpathSync(join(home, 'postgres')).startsWith(SHARED_FOLDER)).toBe(true);
      expect(ownerOf(postgresOn(home))).not.toBe(0);
      await works(first);
      await stop(first, home);
      // The data is found again.
      const second = await ready(startDevChild(home));
      const { body } = granted(await second.user.post('/api/v1/credits/use', { amount: 1 }));
      expect(body).toMatchObject({ newBalance: { balance: 98 } });
      await stop(second, home);
    } finally {
      await killPostgres(home);
      if (existsSync(join(home, 'postgres'))) rmSync(realpathSync(join(home, 'postgres')), { recursive: true, force: true });
      if (!existed && existsSync(SHARED_FOLDER) && readdirSync(SHARED_FOLDER).length === 0) rmdirSync(SHARED_FOLDER);
    }
  });
});

describe.runIf(isRoot)('as a user without rights', { timeout: 120_000 }, () => {
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '--import', 'tsx', 'src/dev.ts'];
  let cwd: string;

  beforeAll(() => {
    cwd = reachableRoot();
  });

  it('runs everything as that user', async () => {
    const home = join(folder, 'nobody', 'data');
    mkdirSync(join(folder, 'nobody'));
    chownSync(join(folder, 'nobody'), NOBODY, NOBODY);
    const dev = await ready(startDevChild(home, { command: 'setpriv', args: asNobody, cwd }));
    expect(ownerOf(postgresOn(home))).toBe(NOBODY);
    expect(ownerOf(dev.child.pid)).toBe(NOBODY);
    await works(dev);
    await stop(dev, home);
  });

  it.each([
    ['that is not there, in one that it may not write', (place: string) => join(place, 'data')],
    ['that it may not write', (place: string) => place],
  ])('says so of a data folder %s', async (_, homeIn) => {
    const place = join(folder, 'foreign');
    mkdirSync(place, { recursive: true, mode: 0o755 });
    const home = homeIn(place);
    const child = startDevChild(home, { command: 'setpriv', args: asNobody, cwd });
    expect(await child.ended()).toEqual({ code: 1, signal: null });
    expect(child.stderr()).toMatch(new RegExp(`^The data folder ${home} can't be used \\(EACCES`));
    expect(postgresOn(home)).toBeUndefined();
  });

  it('says so of a data folder that it may read and not write', async () => {
    const home = join(folder, 'read-only');
    mkdirSync(home, { mode: 0o755 });
    writeFileSync(join(home, 'keys.json'), JSON.stringify({ serviceKey: 'k'.repeat(16), jwtSecret: 's'.repeat(32) }));
    chmodSync(join(home, 'keys.json'), 0o644);
    const child = startDevChild(home, { command: 'setpriv', args: asNobody, cwd });
    expect(await child.ended()).toEqual({ code: 1, signal: null });
    expect(child.stderr()).toMatch(/EACCES/);
    expect(child.stderr()).toContain(home);
    expect(postgresOn(home)).toBeUndefined();
  });
});

/** The project, or a copy of it where it stands in a folder that is closed to others. */
function reachableRoot(): string {
  if (canReach({ uid: NOBODY, gid: NOBODY }, ROOT)) return ROOT;
  const copy = join(folder, 'project');
  for (const part of ['src', 'migrations', 'node_modules', 'package.json', 'tsconfig.json']) {
    cpSync(join(ROOT, part), join(copy, part), { recursive: true, verbatimSymlinks: true });
  }
  return copy;
}
