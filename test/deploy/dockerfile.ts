import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { ROOT } from './compose-file.ts';

/** One instruction of a Dockerfile, what it goes on with on further lines included. */
export type Instruction = { readonly name: string; readonly text: string };

/** The Dockerfile's stages in order, each from its FROM on. */
export function readStages(): readonly (readonly Instruction[])[] {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ');
  const stages: Instruction[][] = [];
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === '') throw new Error(`not an instruction: ${line}`);
    if (name === 'FROM') stages.push([]);
    stages.at(-1)?.push({ name, text: rest.trim() });
  }
  return stages;
}

/** What the instructions of a name say, in order. */
export function textsOf(name: string, stage: readonly Instruction[] = []): readonly string[] {
  return stage.filter((one) => one.name === name).map(({ text }) => text);
}

/** The words of a command in its exec form. Throws where a shell would be needed. */
export function execForm(text: string): readonly string[] {
  const words: unknown = JSON.parse(text.slice(text.indexOf('[')));
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) throw new Error(`not in exec form: ${text}`);
  return words;
}

/** From where to where a stage copies out of the project. */
export function copiesOf(
  stage: readonly Instruction[] = [],
): readonly { readonly sources: readonly string[]; readonly target: string }[] {
  return textsOf('COPY', stage)
    .filter((text) => !text.startsWith('--from='))
    .map((text) => {
      const words = text.split(/\s+/);
      return { sources: words.slice(0, -1), target: words.at(-1) ?? '' };
    });
}

/** Folders of packages that the stage removes again. */
export function removedBy(stage: readonly Instruction[] = []): readonly string[] {
  return textsOf('RUN', stage).flatMap((text) => /rm -rf (.*)$/.exec(text)?.[1]?.trim().split(/\s+/) ?? []);
}

/** Whether .dockerignore lets a path of the project into an image; of its lines the last that fits counts. */
export function isSent(path: string): boolean {
  const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  let sent = true;
  for (const line of lines.filter((one) => one !== '' && !one.startsWith('#'))) {
    const pattern = line.replace(/^!/, '');
    if (pattern === '*' || path === pattern || path.startsWith(`${pattern}/`)) sent = line.startsWith('!');
  }
  return sent;
}

/** Puts into a folder what the image holds: what the last stage copies, and the packages that the first one leaves. */
export function fillAsImage(folder: string): void {
  const [modules, image] = readStages();
  for (const { sources, target } of copiesOf(image)) {
    for (const source of sources) {
      const to = target.endsWith('/') ? join(folder, target, source) : join(folder, target);
      cpSync(join(ROOT, source), to, {
        recursive: true,
        filter: (path) =>
          isSent(
            path
              .slice(ROOT.length + 1)
              .split(sep)
              .join('/'),
          ),
      });
    }
  }
  const removed = removedBy(modules);
  for (const path of packagesToRun()) {
    if (!removed.some((one) => path === one || path.startsWith(`${one}/`))) copyPackage(path, folder);
  }
}

/** Where the packages lie that `npm ci --omit=dev` installs, of those that are installed here. */
function packagesToRun(): readonly string[] {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, { readonly dev?: boolean }>>;
  };
  return Object.entries(packages)
    .filter(([path, { dev = false }]) => path !== '' && !dev && existsSync(join(ROOT, path)))
    .map(([path]) => path);
}

/** Without the packages inside it, which the lock file names by themselves. */
function copyPackage(path: string, folder: string): void {
  const from = join(ROOT, path);
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  cpSync(from, join(folder, path), { recursive: true, filter: (one) => !one.startsWith(join(from, 'node_modules')) });
}
