import { spawnSync } from 'node:child_process';
import { mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { granted } from '../support/api-client.ts';
import { makeHome } from '../support/own-cluster.ts';
import { isRunning, killAll, postgresOn } from './children.ts';
import { type Dev, killPostgres, ready, removeHome, startDevChild, stopped } from './dev-process.ts';

const USE = '/api/v1/credits/use';

/** One data folder for all of this file, as a newcomer has one. */
let folder: string;
let home: string;

beforeAll(() => {
  folder = makeHome();
  home = join(folder, 'data');
});

afterEach(killAll);

afterAll(async () => {
  killAll();
  await removeHome(home);
  await removeHome(folder);
});

const start = async (): Promise<Dev> => ready(startDevChild(home));

async function stop({ child }: Dev): Promise<void> {
  child.kill('SIGTERM');
  expect(await child.ended()).toEqual({ code: 0, signal: null });
  expect(postgresOn(home)).toBeUndefined();
}

/** Uses a credit; returns what is left, as the log has it. */
async function useOne({ user }: Dev): Promise<number> {
  const { body } = granted(await user.post(USE, { amount: 1 }));
  return (body as { newBalance: { balance: number } }).newBalance.balance;
}

describe('npm start', { timeout: 120_000 }, () => {
  it('prints a key, a token and three lines that work when they are pasted', async () => {
    const dev = await start();
    expect(dev.lines).toHaveLength(3);
    const errors = openSync(join(folder, 'stderr'), 'w+');
    const pasted = spawnSync('bash', ['-c', dev.lines.join('\n')], { encoding: 'utf8', stdio: ['ignore', 'pipe', errors] });
    const said = readFileSync(join(folder, 'stderr'), 'utf8');
    expect(pasted.status).toBe(0);
    const [balance, , commit] = pasted.stdout.split('\n');
    expect(JSON.parse(balance ?? '')).toMatchObject({ userId: 'demo-user', totalEarned: 100 });
    expect(JSON.parse(said.trim())).toMatchObject({ amount: 5, balance: 95 });
    expect(JSON.parse(commit ?? '')).toMatchObject({ success: true, creditsUsed: 3, released: 2, balance: 97 });
    await stop(dev);
  });

  it('keeps its data and its keys over a restart, and over kills with Postgres and without', async () => {
    const first = await start();
    expect(await useOne(first)).toBe(96);
    await stop(first);

    const second = await start();
    expect(second.serviceKey).toBe(first.serviceKey);
    expect(await useOne(second)).toBe(95);
    second.child.kill('SIGKILL');
    await second.child.ended();
    const left = postgresOn(home);
    expect(left).toBeDefined();

    const third = await start();
    expect(postgresOn(home)).toBe(left);
    expect(await useOne(third)).toBe(94);
    third.child.kill('SIGKILL');
    await third.child.ended();
    await killPostgres(home);

    const fourth = await start();
    expect(await useOne(fourth)).toBe(93);
    await stop(fourth);
  });

  it('leaves a folder to whoever works on it', async () => {
    const first = await start();
    const second = startDevChild(home);
    expect(await second.ended()).toEqual({ code: 1, signal: null });
    expect(second.stderr()).toMatch(new RegExp(`data folder ${home} is in use`));
    expect(second.stdout()).toBe('');
    expect(await useOne(first)).toBe(92);
    await stop(first);
  });

  it('lets one of two win that start on a new folder at once, and tells the other', async () => {
    const shared = join(folder, 'at-once');
    const children = [startDevChild(shared), startDevChild(shared)];
    const started = await Promise.allSettled(children.map(ready));
    const winners = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const losers = children.filter((_, index) => started[index]?.status === 'rejected');
    expect([winners.length, losers.length]).toEqual([1, 1]);
    expect(await losers[0]?.ended()).toEqual({ code: 1, signal: null });
    expect(losers[0]?.stderr()).toMatch(`The data folder ${shared} is in use by another mana-credits`);

    const [winner] = winners as [Dev];
    expect(await useOne(winner)).toBe(99);
    // The keys that it has printed are those that the next start will print.
    expect(readFileSync(join(shared, 'keys.json'), 'utf8')).toContain(winner.serviceKey);
    expect(readdirSync(shared).toSorted()).toEqual(['keys.json', 'postgres']);
    winner.child.kill('SIGTERM');
    expect(await winner.child.ended()).toEqual({ code: 0, signal: null });
    expect(postgresOn(shared)).toBeUndefined();
  });

  it('closes everything on Ctrl-C, which reaches all processes of a terminal and is handed on besides', async () => {
    const child = startDevChild(home, { command: 'npx', args: ['--no-install', 'tsx', 'src/dev.ts'] });
    await ready(child);
    child.kill('SIGINT', 'group');
    await child.ended();
    await stopped(home);
  });

  it('leaves nothing behind when it is stopped while it starts', async () => {
    const child = startDevChild(home);
    await expect.poll(() => postgresOn(home), { timeout: 30_000, interval: 5 }).toBeDefined();
    child.kill('SIGTERM');
    expect(await child.ended()).toEqual({ code: 0, signal: null });
    expect(postgresOn(home)).toBeUndefined();
    expect(child.stderr()).toBe('');
  });
});

describe('npm start says what is wrong, and leaves nothing running', { timeout: 60_000 }, () => {
  it('with a port in use', async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, () => resolve((server.address() as { port: number }).port));
    });
    try {
      const child = startDevChild(home, { env: { PORT: String(port) } });
      expect(await child.ended()).toEqual({ code: 1, signal: null });
      expect(child.stderr()).toBe(`Port ${port} is in use: stop what listens there, or set PORT to another.\n`);
      expect(child.stdout()).toBe('');
      expect(postgresOn(home)).toBeUndefined();
    } finally {
      server.close();
    }
  });

  it('with several variables that are wrong, and tells none of their secrets', async () => {
    const untouched = join(folder, 'untouched');
    const env = {
      PORT: '70000',
      LOG_LEVEL: 'loud',
      MANA_SERVICE_KEY: 'too-short',
      JWT_SECRET: 'weak-secret',
      SIGNUP_GRANT: '-1',
    };
    const child = startDevChild(untouched, { env });
    expect(await child.ended()).toEqual({ code: 1, signal: null });
    for (const name of Object.keys(env)) expect(child.stderr()).toMatch(new RegExp(`^ {2}${name}: `, 'm'));
    expect(child.stderr()).not.toMatch(/too-short|weak-secret/);
    expect(postgresOn(untouched)).toBeUndefined();
  });

  it('with a data folder that can be none', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const child = startDevChild(join(file, 'data'));
    expect(await child.ended()).toEqual({ code: 1, signal: null });
    expect(child.stderr()).toContain(`The data folder ${join(file, 'data')} can't be used`);
  });

  it('with keys that cannot be read', async () => {
    const broken = join(folder, 'broken');
    mkdirSync(broken);
    writeFileSync(join(broken, 'keys.json'), '{"serviceKey":');
    const child = startDevChild(broken);
    expect(await child.ended()).toEqual({ code: 1, signal: null });
    expect(child.stderr()).toContain(`The data folder ${broken} can't be used`);
    expect(postgresOn(broken)).toBeUndefined();
  });

  it('with a database that does not answer', async () => {
    const child = startDevChild(home, { env: { DATABASE_URL: 'postgres://nobody:password@127.0.0.1:1/nothing' } });
    expect(await child.ended()).toEqual({ code: 1, signal: null });
    expect(child.stderr()).toContain('Nothing answers at the DATABASE_URL');
    expect(child.stderr()).not.toContain('password');
    expect(postgresOn(home)).toBeUndefined();
  });
});

it('takes a DATABASE_URL for its database instead', { timeout: 60_000 }, async () => {
  const dev = await ready(startDevChild(home));
  const other = join(folder, 'other');
  const port = readFileSync(join(home, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[3];
  const password = readFileSync(join(home, 'postgres', 'mana-password'), 'utf8').trim();
  // The same database: a second service beside the first, with keys of its own.
  const second = await ready(
    startDevChild(other, { env: { DATABASE_URL: `postgres://mana:${password}@127.0.0.1:${port}/mana` } }),
  );
  expect(postgresOn(other)).toBeUndefined();
  expect(second.serviceKey).not.toBe(dev.serviceKey);
  const left = await useOne(second);
  expect(await useOne(dev)).toBe(left - 1);
  second.child.kill('SIGTERM');
  expect(await second.child.ended()).toEqual({ code: 0, signal: null });
  expect(isRunning(postgresOn(home) ?? 0)).toBe(true);
  await stop(dev);
});
