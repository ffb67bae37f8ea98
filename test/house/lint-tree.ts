import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const ROOT = join(import.meta.dirname, '..', '..');
const SETTINGS = ['.oxlintrc.json', 'tsconfig.json', 'test/house/house-rules.js'];

/** What the linter finds: the place as `file:line`, and the rule. */
export type Finding = { readonly place: string; readonly rule: string };

/** Lints files, given as lines by their path, in a folder of their own under the project's own settings. */
export function lintTree(files: ReadonlyMap<string, readonly string[]>): readonly Finding[] {
  const folder = mkdtempSync(join(tmpdir(), 'mana-house-'));
  try {
    for (const file of SETTINGS) cpSync(join(ROOT, file), join(folder, file));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    for (const [file, lines] of files) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), lines.join('\n'));
    }
    const linter = join(folder, 'node_modules', 'oxlint', 'bin', 'oxlint');
    const { stdout, stderr } = spawnSync(process.execPath, [linter, '--format=unix'], { cwd: folder, encoding: 'utf8' });
    const findings = stdout.split('\n').flatMap(readFinding);
    if (findings.length === 0) throw new Error(`the linter found nothing at all:\n${stdout}${stderr}`);
    return findings;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** From a line such as `src/a.ts:1:10: Don't do that. [Error/eslint(no-that)]`. */
function readFinding(line: string): readonly Finding[] {
  const match = /^([^:]+:\d+):\d+: .*\[\w+\/[\w-]+\(([\w-]+)\)\]$/.exec(line);
  return match === null ? [] : [{ place: match[1] ?? '', rule: match[2] ?? '' }];
}
