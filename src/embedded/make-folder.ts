import { mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** In ms: what is still being made after that was left behind by a process that was killed. */
const LEFT_BEHIND_AFTER = 3_600_000;

/**
 * Makes a folder: under a name of its own first, so that a half-made one is never taken for a whole, and two processes
 * at once don't work in the same. The first to be ready wins; the other's is removed, and the winner's counts for both.
 * `isWhole` tells whether the folder is there, `fill` fills the one that it is given. Rejects where `fill` does.
 */
export async function makeFolder(
  folder: string,
  { isWhole, fill }: { readonly isWhole: () => boolean; readonly fill: (making: string) => Promise<void> | void },
): Promise<void> {
  if (isWhole()) return;
  const prefix = `${folder}.making-`;
  removeLeftBehind(prefix);
  const making = mkdtempSync(prefix);
  try {
    await fill(making);
    renameSync(making, folder);
  } catch (error) {
    rmSync(making, { recursive: true, force: true });
    // Nothing is renamed onto a folder that has something in it.
    if (!isWhole()) throw error;
  }
}

function removeLeftBehind(prefix: string): void {
  const parent = dirname(prefix);
  for (const name of readdirSync(parent).filter((one) => one.startsWith(basename(prefix)))) {
    const left = join(parent, name);
    try {
      if (Date.now() - statSync(left).mtimeMs > LEFT_BEHIND_AFTER) rmSync(left, { recursive: true, force: true });
    } catch {
      // Gone meanwhile, or another account's: it takes up room, and is in nobody's way.
    }
  }
}
