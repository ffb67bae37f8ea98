import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { type ComposeService, composeIn, readComposeFile, ROOT, secondsOf, variablesOf } from './compose-file.ts';
import { faultsOfSchema } from './compose-schema.ts';

/* docker-compose.yml, against the specification's own schema and our own rules. No container engine is needed. */

const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const file = readComposeFile();
const { all, required } = variablesOf(file);
/** A value for each variable without which nothing starts, and for those that say who may call. */
const SECRETS = Object.fromEntries([...required].map((name) => [name, `${name.toLowerCase().replaceAll('_', '')}4sample`]));
const CALLERS = { MANA_SERVICE_KEY: 'k'.repeat(64), JWT_SECRET: 's'.repeat(64) };
const compose = composeIn({ ...SECRETS, ...CALLERS });
const services = Object.entries(compose.services);
const namesOf = (choose: (service: ComposeService) => boolean): readonly string[] =>
  services.filter(([, service]) => choose(service)).map(([name]) => name);

/** Of our own image: without a command of its own it is the API. */
const OURS = namesOf(({ build }) => build !== undefined);
const APIS = namesOf(({ build, command }) => build !== undefined && command === undefined);
const WORKERS = namesOf(({ command = [] }) => command.includes('src/worker.ts'));
const STEPS = namesOf(({ restart }) => restart === 'no');

function serviceNamed(name: string): ComposeService {
  const service = compose.services[name];
  if (service === undefined) throw new Error(`there is no service ${name}`);
  return service;
}

describe('the Compose Specification’s schema', () => {
  it('allows the file', () => {
    // As Compose does: once all variables are filled in.
    expect(faultsOfSchema(compose)).toEqual([]);
  });

  it.each([
    ['a misspelled member', { services: { api: { image: 'one:1', heathcheck: {} } } }],
    ['a condition that there isn’t', { services: { api: { image: 'one:1', depends_on: { db: { condition: 'up' } } } } }],
    ['a time without a unit', { services: { api: { image: 'one:1', stop_grace_period: '20' } } }],
    ['a port that is none', { services: { api: { image: 'one:1', ports: ['eighty'] } } }],
  ])('refuses %s', (_, wrong) => {
    expect(faultsOfSchema(wrong)).not.toEqual([]);
  });
});

describe('what is started', () => {
  it('is two APIs, two workers, a proxy, the stores, and the migrations as a step', () => {
    expect([APIS, WORKERS]).toEqual([
      ['api-1', 'api-2'],
      ['worker-1', 'worker-2'],
    ]);
    expect(Object.keys(compose.services)).toEqual(
      expect.arrayContaining(['proxy', 'postgres', 'redis', 'kurrentdb', 'migrate', ...APIS, ...WORKERS]),
    );
    expect(STEPS).toEqual(['migrate']);
    expect(serviceNamed('migrate').command).toContain('src/cli/migrate.ts');
  });

  it.each(services)('%s: an image of a version, a restart policy, a health check', (name, service) => {
    expect(service.image).toMatch(/^[\w./-]+:\d+\.\d+/);
    if (STEPS.includes(name)) return expect(waitingFor(name)).toContain('service_completed_successfully');
    expect(service.restart).toBe('unless-stopped');
    expect(service.healthcheck?.test?.[0]).toBe('CMD');
  });

  it('is our own image in the version of the package, of one Dockerfile', () => {
    const { version } = JSON.parse(textOf('package.json')) as { version: string };
    for (const name of OURS) {
      expect(serviceNamed(name)).toMatchObject({ image: `mana-credits:${version}`, build: { context: '.' } });
    }
  });

  it.each(services)('%s waits for services that there are', (_, { depends_on = {} }) => {
    expect(Object.keys(compose.services)).toEqual(expect.arrayContaining(Object.keys(depends_on)));
  });

  it.each([...APIS, ...WORKERS])('%s waits for the step and until the stores are healthy', (name) => {
    expect(serviceNamed(name).depends_on).toEqual({
      migrate: { condition: 'service_completed_successfully' },
      redis: { condition: 'service_healthy' },
      kurrentdb: { condition: 'service_healthy' },
    });
    expect(serviceNamed('migrate').depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
  });

  it('runs programs that are there', () => {
    const programs = services.flatMap(([, { command = [], healthcheck }]) => [...command, ...(healthcheck?.test ?? [])]);
    const ours = programs.filter((word) => word.startsWith('src/'));
    expect(ours.length).toBeGreaterThan(2);
    expect(ours.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });

  it('gets the time that it takes to close', () => {
    const within = Number(/CLOSE_WITHIN = ([\d_]+);/.exec(textOf('src/shutdown.ts'))?.[1]?.replaceAll('_', ''));
    for (const name of OURS) {
      const { environment = {}, stop_grace_period = '10s' } = serviceNamed(name);
      const drain = Number(environment['SHUTDOWN_DRAIN'] ?? 0);
      expect(secondsOf(stop_grace_period), name).toBeGreaterThan(drain + within / 1_000);
    }
    // The proxy ends when its requests have ended.
    const longest = /proxy_read_timeout (\d+s);/.exec(textOf('deploy/nginx.conf'))?.[1] ?? '';
    expect(secondsOf(serviceNamed('proxy').stop_grace_period ?? '')).toBeGreaterThan(secondsOf(longest));
  });
});

function waitingFor(name: string): readonly string[] {
  return services.flatMap(([, { depends_on = {} }]) => depends_on[name]?.condition ?? []);
}

describe('who reaches whom', () => {
  it('publishes the proxy alone, and to this machine alone', () => {
    expect(namesOf(({ ports = [] }) => ports.length > 0)).toEqual(['proxy']);
    expect(serviceNamed('proxy').ports).toEqual(['127.0.0.1:8080:8080']);
  });

  it('keeps the stores on a network without a way out, which the proxy is not on', () => {
    expect(compose.networks['back']).toEqual({ internal: true });
    for (const name of ['postgres', 'redis', 'kurrentdb', ...WORKERS]) expect(serviceNamed(name).networks).toEqual(['back']);
    expect(serviceNamed('proxy').networks).toEqual(['front']);
    const named = new Set(services.flatMap(([, { networks = [] }]) => networks));
    expect([...named].toSorted()).toEqual(Object.keys(compose.networks).toSorted());
  });

  it.each(OURS)('%s finds whatever its URLs name', (name) => {
    const { environment = {}, networks = [] } = serviceNamed(name);
    const urls = Object.entries(environment).filter(([variable]) =>
      /^((MIGRATION_)?DATABASE|REDIS|EVENTSTORE)_URL$/.test(variable),
    );
    expect(urls.length).toBeGreaterThan(2);
    for (const [, url] of urls) {
      const { networks: there = [] } = serviceNamed(new URL(String(url)).hostname);
      expect(there.some((network) => networks.includes(network))).toBe(true);
    }
  });

  it('keeps what must last in volumes of a name, and brings files of ours to read alone', () => {
    const mounted = services.flatMap(([, { volumes = [] }]) => volumes);
    const paths = mounted.filter((volume) => volume.startsWith('.'));
    for (const volume of paths) {
      const [source = '', , mode] = volume.split(':');
      expect(existsSync(join(ROOT, source)), source).toBe(true);
      expect(mode).toBe('ro');
    }
    const named = mounted.filter((volume) => !paths.includes(volume)).map((volume) => volume.split(':')[0] ?? '');
    expect(named.toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
    expect(serviceNamed('postgres').volumes).toContain('postgres-data:/var/lib/postgresql');
    expect(serviceNamed('kurrentdb').volumes).toContain('kurrentdb-data:/var/lib/eventstore');
  });
});

describe('what is set', () => {
  const inConfig = new Set([...textOf('src/config.ts').matchAll(/^ {2}([A-Z][A-Z_]+): z/gm)].map(([, name]) => name));

  it.each(OURS)('%s is told nothing that the configuration doesn’t know, and what it is told is right', (name) => {
    const { environment = {} } = serviceNamed(name);
    expect(Object.keys(environment).filter((variable) => !inConfig.has(variable))).toEqual([]);
    const config = readConfig(
      Object.fromEntries(Object.entries(environment).map(([variable, value]) => [variable, String(value)])),
    );
    expect(config.redisUrl).toBe(`redis://:${SECRETS['REDIS_PASSWORD']}@redis:6379`);
    expect(config.eventStoreUrl).toBe('esdb://kurrentdb:2113?tls=false');
  });

  it('starts nothing without its secrets, and says which is missing', () => {
    expect([...required].toSorted()).toEqual(['OWNER_PASSWORD', 'POSTGRES_PASSWORD', 'REDIS_PASSWORD', 'SERVICE_PASSWORD']);
    for (const name of required) expect(() => composeIn({ ...SECRETS, [name]: '' })).toThrow(`${name}: `);
    // And holds none itself.
    expect(JSON.stringify(file)).not.toMatch(/(PASSWORD|SECRET|KEY)[^"]*:-[^}]/);
  });

  it('is explained in .env.example, without a secret in it', () => {
    const lines = [...textOf('.env.example').matchAll(/^(#?)([A-Z_]+)=(.*)$/gm)];
    expect(lines.map(([, , name = '']) => name).toSorted()).toEqual([...all].toSorted());
    // What has a default shows it; all else is empty.
    for (const [, comment, name, value] of lines) if (comment === '') expect(value, name).toBe('');
    expect(textOf('.gitignore').split('\n')).toContain('.env');
  });

  it('migrates as the owner, and serves as somebody who is neither owner nor superuser', () => {
    const users = [...textOf('deploy/postgres/users.sql').matchAll(/^create role (\w+) (.*) password/gm)];
    expect(users.map(([, name, rights]) => [name, rights])).toEqual([
      ['mana_owner', 'login createrole'],
      ['mana_service', 'login'],
    ]);
    const userIn = (url: unknown): string => new URL(String(url)).username;
    for (const name of OURS) expect(userIn(serviceNamed(name).environment?.['DATABASE_URL'])).toBe('mana_service');
    expect(namesOf(({ environment = {} }) => 'MIGRATION_DATABASE_URL' in environment)).toEqual(['migrate']);
    expect(userIn(serviceNamed('migrate').environment?.['MIGRATION_DATABASE_URL'])).toBe('mana_owner');
  });

  it('lets Postgres take all connections that the processes may open, and Redis drop nothing', () => {
    const perProcess = 30;
    const most = Number(/max_connections=(\d+)/.exec(serviceNamed('postgres').command?.join(' ') ?? '')?.[1]);
    expect(most).toBeGreaterThanOrEqual((APIS.length + WORKERS.length) * perProcess + 20);
    expect(serviceNamed('redis').command?.join(' ')).toContain('--maxmemory-policy noeviction');
  });
});
