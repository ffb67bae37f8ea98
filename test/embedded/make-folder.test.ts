import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { copyPrograms } from '../../src/embedded/binaries.ts';
import { makeFolder } from '../../src/embedded/make-folder.ts';
import { makeHome } from '../support/own-cluster.ts';

/* What is made only once is whole or not there, whatever interrupts its making and whoever makes it besides. */

let place: string;
let folder: string;

beforeEach(() => {
  place = makeHome();
  folder = join(place, 'made');
});

afterEach(() => rmSync(place, { recursive: true, force: true }));

const isWhole = (): boolean => existsSync(join(folder, 'last'));

/** Makes the folder as a process of that name would; `between` comes when half of it is there. */
const make = (name: string, between: () => Promise<void> | void = () => undefined) =>
  makeFolder(folder, {
    isWhole,
    async fill(making) {
      writeFileSync(join(making, 'first'), name);
      await between();
      writeFileSync(join(making, 'last'), name);
    },
  });

const contents = () => ['first', 'last'].map((file) => readFileSync(join(folder, file), 'utf8'));

describe('a folder that is made once', () => {
  it('is not there while it is being made, nor after that has failed', async () => {
    const failing = make('a', () => {
      expect(existsSync(folder)).toBe(false);
      throw new Error('interrupted');
    });
    await expect(failing).rejects.toThrow('interrupted');
    expect(readdirSync(place)).toEqual([]);
    await make('b');
    expect(contents()).toEqual(['b', 'b']);
  });

  it('is that of whoever is ready first, whole, where two make it at once', async () => {
    await make('a', () => make('b'));
    expect(contents()).toEqual(['b', 'b']);
    expect(readdirSync(place)).toEqual(['made']);
  });

  it('is left alone where it is there', async () => {
    await make('a');
    await make('b');
    expect(contents()).toEqual(['a', 'a']);
  });

  it('takes nothing from what a killed process left, which goes when nobody can be at work on it any more', async () => {
    const [old, young] = [`${folder}.making-old`, `${folder}.making-young`];
    for (const left of [old, young]) {
      mkdirSync(left);
      writeFileSync(join(left, 'first'), 'left');
    }
    const yesterday = Date.now() / 1_000 - 24 * 3_600;
    utimesSync(old, yesterday, yesterday);
    await make('a');
    expect(contents()).toEqual(['a', 'a']);
    expect(readdirSync(place).toSorted()).toEqual(['made', 'made.making-young']);
  });

  it('is an error where something else stands in its place', async () => {
    mkdirSync(folder);
    writeFileSync(join(folder, 'other'), '');
    await expect(make('a')).rejects.toMatchObject({ code: 'ENOTEMPTY' });
    expect(readdirSync(folder)).toEqual(['other']);
  });
});

describe('Postgres’ programs, copied to where its account can reach them', () => {
  it('are never those of a copy that was interrupted', async () => {
    const native = join(place, 'native');
    mkdirSync(join(native, 'bin'), { recursive: true });
    writeFileSync(join(native, 'bin', 'postgres'), 'postgres');
    mkdirSync(join(native, 'lib'));
    writeFileSync(join(native, 'lib', 'postgres.bki'), 'bki');
    // A socket can't be copied: the copy ends in the middle.
    const server = createServer().listen(join(native, 'lib', 'a-socket'));
    await once(server, 'listening');
    try {
      await expect(copyPrograms(native, folder)).rejects.toMatchObject({ code: 'ERR_FS_CP_SOCKET' });
      expect(existsSync(folder)).toBe(false);
    } finally {
      server.close();
      await once(server, 'close');
    }
    await copyPrograms(native, folder);
    expect(readFileSync(join(folder, 'lib', 'postgres.bki'), 'utf8')).toBe('bki');
    expect(readdirSync(place).toSorted()).toEqual(['made', 'native']);
  });
});
