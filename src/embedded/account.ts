import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/** The system account that Postgres runs under, for child processes; empty where it is our own. */
export type Account = { readonly uid?: number; readonly gid?: number };

/** Postgres refuses to run as root: then the account `postgres`, or else `nobody`. */
export function postgresAccount(): Account {
  if (process.getuid?.() !== 0) return {};
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.find((line) => line.startsWith(`${name}:`))?.split(':');
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error('Postgres does not run as root, and there is no account "postgres" or "nobody" to run it under');
}

/** Whether that account can enter a folder: every folder above it must let others through. */
export function canReach({ uid }: Account, folder: string): boolean {
  if (uid === undefined) return true;
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(at)) {
      const { mode, uid: owner } = statSync(at);
      if (owner !== uid && (mode & 0o001) === 0) return false;
    }
    if (at === dirname(at)) return true;
  }
}
