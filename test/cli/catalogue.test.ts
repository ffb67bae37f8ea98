import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { importCatalogue } from '../../src/cli/catalogue-import/import-catalogue.ts';
import { parseCatalogue, readCatalogueFile } from '../../src/cli/catalogue-import/read-file.ts';
import { MAX_OPERATIONS } from '../../src/commands/catalogue.ts';
import { ConfigError } from '../../src/config.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openLedger, type TestLedger } from '../support/ledger.ts';

/* `npm run catalogue -- import <file>`: what it shows, what it writes, and what it says of a file that is not right. */

const ROOT = join(import.meta.dirname, '..', '..');
const FIXTURE = join('test', 'fixtures', 'catalogue.json');

type File = { readonly operations: readonly Record<string, unknown>[]; readonly packages?: readonly Record<string, unknown>[] };
type Ended = { readonly code: number | string | null | undefined; readonly stdout: string; readonly stderr: string };

let database: TestDatabase;
let ledger: TestLedger;

/** A ledger of its own for each test. */
function useLedgers(): void {
  beforeEach(async () => {
    database = await createTestDatabase();
    ledger = await openLedger(database.url);
  });
  afterEach(async () => {
    await ledger?.close();
    await database?.close();
  });
}

/** The command, as it is run. */
function run(...args: readonly string[]): Promise<Ended> {
  // Vitest has a BASE_URL of its own, which is none of the ledger's.
  const env = { ...process.env, DATABASE_URL: database.url, BASE_URL: '' };
  return new Promise((resolve) => {
    const command = ['--import', 'tsx', 'src/cli/catalogue.ts', ...args];
    execFile(process.execPath, command, { cwd: ROOT, env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

/** What it does, in this process. Returns the lines it prints. */
async function imported(file: File, flags: { dryRun?: boolean; retireMissing?: boolean } = {}): Promise<readonly string[]> {
  const lines: string[] = [];
  const parsed = parseCatalogue(JSON.stringify(file), 'catalogue.json');
  await importCatalogue(ledger.context, parsed, { dryRun: false, retireMissing: false, ...flags }, (line) => lines.push(line));
  return lines;
}

/** What was written: type, data and actor of every event. */
async function events() {
  const { rows } = await database.superuser.query<{ type: string; data: string; metadata: string }>(
    'select type, data, metadata from ledger.events order by position',
  );
  return rows.map(({ type, data, metadata }) => ({
    type,
    data: JSON.parse(data) as { [name: string]: unknown },
    actor: (JSON.parse(metadata) as { actor: unknown }).actor,
  }));
}

const SMALL = { id: 'small', name: 'Small', credits: 500, priceEuroCents: 499 };
const IMAGE = { app: 'picture', operation: 'image', cost: 10 };
const STAYS = '(not in the file: stays without --retire-missing)';

describe('the command', () => {
  useLedgers();

  it('brings a whole file in, and repeated changes nothing', async () => {
    const first = await run('import', FIXTURE);
    expect({ code: first.code, stderr: first.stderr }).toEqual({ code: 0, stderr: '' });
    const lines = first.stdout.split('\n');
    expect(lines).toContain('+ operation picture/ai_image_generation: cost 10, per 1, free 3 lifetime');
    expect(lines).toContain('+ operation general/bulk_import: cost 0.2, per 10, unit items');
    expect(lines.slice(-3)).toEqual(['29 added, 0 changed, 0 missing, 0 unchanged.', 'Written: 29 events.', '']);
    const { operations } = JSON.parse(await readFile(join(ROOT, FIXTURE), 'utf8')) as File;
    const written = await events();
    expect(written.map(({ data: { app, operation, cost } }) => [app, operation, cost])).toEqual(
      operations.map(({ app, operation, cost }) => [app, operation, Math.round((cost as number) * 1_000_000)]),
    );
    const actors = new Set(written.map(({ actor }) => JSON.stringify(actor)));
    expect([...actors]).toEqual(['{"kind":"system","name":"catalogue-import"}']);

    const second = await run('import', FIXTURE);
    const said = '0 added, 0 changed, 0 missing, 29 unchanged.\nNothing was written.\n';
    expect(second).toEqual({ code: 0, stdout: said, stderr: '' });
    expect(await events()).toEqual(written);
  });

  it('takes its flags', async () => {
    await imported({ operations: [IMAGE] });
    const { code, stdout } = await run('import', FIXTURE, '--dry-run', '--retire-missing');
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n- operation picture\/image: cost 10, per 1\n29 added, .*\nNothing was written: --dry-run\.\n$/);
    expect(await events()).toHaveLength(1);
  });

  it.each([
    [['import'], 'import needs one file'],
    [['export'], 'There is no command export'],
    [['import', FIXTURE, '--force'], "Unknown option '--force'"],
    [['import', '/nowhere/catalogue.json'], "/nowhere/catalogue.json can't be read"],
    [['import', 'package.json'], 'package.json is not right:'],
  ])('says what is wrong with a call: %j', async (args, fault) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(fault);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});

describe('an import', () => {
  useLedgers();

  it('shows what changes from what to what, and writes that alone', async () => {
    const same = { ...IMAGE, operation: 'same' };
    await imported({ operations: [IMAGE, same], packages: [SMALL] });
    const image = { ...IMAGE, cost: 0.5, per: 4, unit: 'pixels', free: { uses: 2, period: 'day' } };
    const small = { ...SMALL, priceEuroCents: 599, metadata: { badge: 'new' } };
    expect(await imported({ operations: [image, same], packages: [small] })).toEqual([
      '~ operation picture/image: cost 10 → 0.5, per 1 → 4, unit none → pixels, free none → 2 day',
      '~ package small: cents 499 → 599, metadata none → {"badge":"new"}',
      '0 added, 2 changed, 0 missing, 1 unchanged.',
      'Written: 2 events.',
    ]);
    const written = (await events()).slice(3);
    expect(written.map(({ type, data }) => [type, data['cost'] ?? data['priceEuroCents']])).toEqual([
      ['OperationPriced', 500_000],
      ['PackageDefined', 599],
    ]);
  });

  const whole = { operations: [IMAGE, { ...IMAGE, operation: 'old', cost: 0.02 }], packages: [SMALL, { ...SMALL, id: 'old' }] };
  const less = { operations: [IMAGE], packages: [SMALL] };

  it('lists what the file lacks, and retires it only where it is told to', async () => {
    await imported(whole);
    expect(await imported(less)).toEqual([
      `? operation picture/old: cost 0.02, per 1 ${STAYS}`,
      `? package old: sold yes, credits 500, cents 499, name "Small", sortOrder 0 ${STAYS}`,
      '0 added, 0 changed, 2 missing, 2 unchanged.',
      'Nothing was written.',
    ]);
    expect(await events()).toHaveLength(4);
    expect((await imported(less, { retireMissing: true })).slice(2)).toEqual([
      '0 added, 0 changed, 2 missing, 2 unchanged.',
      'Written: 2 events.',
    ]);
    expect((await events()).slice(4).map(({ type, data }) => [type, data])).toEqual([
      ['OperationRetired', { app: 'picture', operation: 'old' }],
      ['PackageRetired', { id: 'old' }],
    ]);
    expect(await imported(less, { retireMissing: true })).toEqual([
      '0 added, 0 changed, 0 missing, 2 unchanged.',
      'Nothing was written.',
    ]);
  });

  it('leaves the packages where the file says nothing of them, and sells a retired one again', async () => {
    await imported(whole);
    await imported(less, { retireMissing: true });
    expect(await imported({ operations: [IMAGE] }, { retireMissing: true })).toEqual([
      '0 added, 0 changed, 0 missing, 1 unchanged.',
      'Nothing was written.',
    ]);
    expect(await imported(whole)).toContain('~ package old: sold no → yes');
  });

  it('writes nothing on a dry run', async () => {
    const lines = await imported(whole, { dryRun: true });
    expect(lines.slice(-2)).toEqual(['4 added, 0 changed, 0 missing, 0 unchanged.', 'Nothing was written: --dry-run.']);
    expect(await events()).toEqual([]);
  });

  it('fills a catalogue to its bound, names what is too much, and makes room first', async () => {
    const full = Array.from({ length: MAX_OPERATIONS }, (_, n) => ({ ...IMAGE, operation: `n${n}` }));
    expect((await imported({ operations: full })).at(-1)).toBe(`Written: ${MAX_OPERATIONS} events.`);
    const refused = imported({ operations: [{ ...IMAGE, operation: 'more' }] });
    await expect(refused).rejects.toThrow(ConfigError);
    await expect(refused).rejects.toThrow(/Written: 0 events\. Refused:\noperation picture\/more: .*limit_exceeded/);
    const replaced = await imported({ operations: [...full.slice(1), { ...IMAGE, operation: 'more' }] }, { retireMissing: true });
    expect(replaced.slice(-2)).toEqual([`1 added, 0 changed, 1 missing, ${MAX_OPERATIONS - 1} unchanged.`, 'Written: 2 events.']);
  });
});

describe('a file that is not right', () => {
  const faultsOf = (content: unknown): readonly string[] => {
    try {
      parseCatalogue(typeof content === 'string' ? content : JSON.stringify(content), 'prices.json');
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as ConfigError).message.split('\n').map((line) => line.trim());
    }
    throw new Error('nothing was wrong with it');
  };

  it('has every fault named', () => {
    const faults = faultsOf({
      operations: [
        { ...IMAGE, cost: 0.00000012 },
        { app: 'two words', operation: '', cost: -1, per: 0 },
        { ...IMAGE, operation: 'typo', fre: { uses: 3, period: 'lifetime' } },
        { ...IMAGE, operation: 'free', free: { uses: 3, period: 'year' } },
        IMAGE,
      ],
      packages: [SMALL, { ...SMALL, credits: 0 }],
    });
    expect(faults[0]).toBe('prices.json is not right:');
    expect(faults.slice(1).map((line) => line.split(':')[0])).toEqual([
      'operations.0.cost',
      'operations.1.app',
      'operations.1.operation',
      'operations.1.cost',
      'operations.1.per',
      'operations.2',
      'operations.3.free.period',
      'packages.1.credits',
      'operations.4',
      'packages.1',
    ]);
    expect(faults).toContain('operations.2: Unrecognized key: "fre"');
    expect(faults).toContain('operations.4: is the same as operations.0');
  });

  it.each([
    ['{"operations": [', /^prices\.json is not JSON: /],
    ['[]', /^the file: /],
    ['null', /^the file: /],
    ['{}', /^operations: /],
    ['{"operations": [], "package": []}', /^the file: Unrecognized key: "package"$/],
    ['{"operations": [null]}', /^operations\.0: /],
  ])('is told so: %s', (content, fault) => {
    expect(faultsOf(content).at(-1)).toMatch(fault);
  });

  it('is not the one that comes with the tests', async () => {
    const { operations, packages } = await readCatalogueFile(join(ROOT, FIXTURE));
    expect(operations).toHaveLength(29);
    expect(operations[5]).toEqual({
      type: 'PriceOperation',
      app: 'picture',
      operation: 'ai_image_generation',
      cost: 10_000_000,
      per: 1,
      unit: null,
      free: { uses: 3, period: 'lifetime' },
    });
    expect(packages).toBeUndefined();
  });
});
