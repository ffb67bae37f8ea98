import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { environmentOn } from '../support/backends.ts';
import { runCommandLine } from '../support/run-command-line.ts';
import { killAll, startChild } from '../entries/children.ts';
import { eventually } from '../workers/working.ts';

/* The health check of workers: `node --import tsx src/cli/alive.ts`. */

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});

afterAll(async () => {
  killAll();
  await database?.close();
});

const alive = (...args: string[]) => runCommandLine('alive', args, database.url);

it('tells a process that works from one that stands still, and from none', { timeout: 120_000 }, async () => {
  expect(await alive()).toMatchObject({ code: 1, stderr: 'no process of the ledger is connected from here\n' });

  const worker = startChild({ args: ['--import', 'tsx', 'src/worker.ts'], env: environmentOn(database.url) });
  await worker.says(/(workers are running)/);
  expect(await alive()).toEqual({ code: 0, stdout: '', stderr: '' });

  worker.kill('SIGSTOP');
  await eventually(async () => {
    const { code, stderr } = await alive('--silent', '3');
    expect(code).toBe(1);
    expect(stderr).toMatch(/^silent for \d+ s\n$/);
  });
  // Half a minute is given by default: a machine that is busy makes nobody ill.
  expect(await alive()).toMatchObject({ code: 0 });
  worker.kill('SIGCONT');
  await eventually(async () => expect(await alive('--silent', '3')).toMatchObject({ code: 0 }));

  worker.kill('SIGTERM');
  expect(await worker.ended()).toEqual({ code: 0, signal: null });
  expect(await alive()).toMatchObject({ code: 1 });
});

it('says what is wrong with its settings', async () => {
  expect(await runCommandLine('alive', [], 'mysql://somewhere/else')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('DATABASE_URL'),
  });
  const nobody = Object.assign(new URL(database.url), { port: '9' }).href;
  expect(await runCommandLine('alive', [], nobody)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Nothing answers'),
  });
});
