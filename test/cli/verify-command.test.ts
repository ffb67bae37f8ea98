import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ADA, useVictims } from './tampering.ts';

/* The command, as it is run: `npm run verify`. */

const victim = useVictims();

const ROOT = join(import.meta.dirname, '..', '..');

type Ended = { readonly code: number | string | null | undefined; readonly stdout: string; readonly stderr: string };

function run(url: string): Promise<Ended> {
  const env = { ...process.env, DATABASE_URL: url };
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import', 'tsx', 'src/cli/verify.ts'], { cwd: ROOT, env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

it('ends well with a summary where nothing is wrong', async () => {
  const { database } = await victim();
  const summary = 'The log is as it was written: 20 events in 3 streams, 20 claims, 4 links.\n';
  expect(await run(database.url)).toEqual({ code: 0, stdout: summary, stderr: '' });
});

it('prints each finding on a line of its own, and exits with 1', async () => {
  const log = await victim();
  await log.tamper(`update ledger.events set data = data || ' ' where position in (9, 12)`);
  const { code, stdout } = await run(log.database.url);
  expect(code).toBe(1);
  expect(stdout.split('\n')).toEqual([
    `stream ${ADA}, revision 5, position 9: its content or place is not what was hashed`,
    `stream ${ADA}, revision 8, position 12: its content or place is not what was hashed`,
    '2 findings: 20 events in 3 streams, 20 claims, 4 links.',
    '',
  ]);
});

it.each([
  ['', /DATABASE_URL is not set/],
  ['postgres://nobody:nothing@127.0.0.1:1/none', /can't be verified: .*ECONNREFUSED/],
])('says what is missing where it can not look: "%s"', async (url, message) => {
  const { code, stdout, stderr } = await run(url);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(message);
});
