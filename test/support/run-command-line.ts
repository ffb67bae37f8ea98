import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { environmentOn } from './backends.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** What a command may print, in bytes. */
const MAX_OUTPUT = 512 * 1024 * 1024;

export type Ended = { readonly code: number | string | null | undefined; readonly stdout: string; readonly stderr: string };

/** Runs a command of `src/cli` as its npm script does, on a database; says how it ended. */
export function runCommandLine(
  name: string,
  args: readonly string[],
  databaseUrl: string,
  nodeOptions: readonly string[] = [],
): Promise<Ended> {
  // Where the suites themselves run is no setting of the command's; an empty variable counts as one that isn't set.
  const settings = databaseUrl === '' ? { DATABASE_URL: '' } : environmentOn(databaseUrl);
  const env = { ...process.env, EVENTSTORE_URL: '', REDIS_URL: '', ...settings };
  const how = [...nodeOptions, '--import', 'tsx', `src/cli/${name}.ts`, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, how, { cwd: ROOT, env, maxBuffer: MAX_OUTPUT }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}
