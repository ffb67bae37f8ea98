import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { composeIn, readComposeFile, ROOT, variablesOf } from './compose-file.ts';
import { type Directive, directivesNamed, readNginxConfig } from './nginx-config.ts';

/* deploy/nginx.conf, as nginx reads it: whom it asks, how much it takes, and what it sends twice. */

const config = readNginxConfig(readFileSync(join(ROOT, 'deploy', 'nginx.conf'), 'utf8'));
const required = [...variablesOf(readComposeFile()).required];
const { services } = composeIn(Object.fromEntries(required.map((name) => [name, 'sample'])));

const all = (name: string): readonly Directive[] => directivesNamed(name, config);
const upstreams = all('upstream');
const locations = all('location');
const location = (name: string): Directive => {
  const found = locations.find(({ args }) => args.at(-1) === name);
  if (found === undefined) throw new Error(`there is no location ${name}`);
  return found;
};
const argsIn = (directive: Directive, name: string): readonly string[] =>
  directive.inside.find((one) => one.name === name)?.args ?? [];

describe('reading a configuration', () => {
  it.each([
    ['a { b c', 'does not end'],
    ['a { b c; ', 'braces do not match'],
    ['a b; }', 'braces do not match'],
    ['a { ; }', 'nothing stands before ;'],
  ])('%s is none: %s', (text, why) => {
    expect(() => readNginxConfig(text)).toThrow(why);
  });

  it('knows texts, comments and braces', () => {
    expect(readNginxConfig(`a 'b; {"c"}' d; # e {\nf { g; }`)).toEqual([
      { name: 'a', args: ['b; {"c"}', 'd'], inside: [] },
      { name: 'f', args: [], inside: [{ name: 'g', args: [], inside: [] }] },
    ]);
  });
});

it('sends requests to the API’s processes of the compose file, at the port of the image', () => {
  const apis = Object.entries(services).filter(([, { build, command }]) => build !== undefined && command === undefined);
  const port = /^EXPOSE (\d+)$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))?.[1];
  expect(upstreams.map(({ args }) => args[0])).toEqual(['api', 'api_repeating']);
  for (const upstream of upstreams) {
    const servers = upstream.inside.filter(({ name }) => name === 'server').map(({ args }) => args);
    expect(servers.map(([address]) => address)).toEqual(apis.map(([name]) => `${name}:${port}`));
    // A process that was replaced has another address; looking it up again needs memory that is shared, and a resolver.
    for (const args of servers) expect(args).toContain('resolve');
    expect(argsIn(upstream, 'zone')).toHaveLength(2);
  }
  expect(all('resolver')).toHaveLength(1);
});

it('names upstreams and locations that there are', () => {
  const passed = all('proxy_pass').map(({ args }) => args[0]);
  expect(passed).toEqual(['http://api', 'http://api_repeating']);
  const named = all('error_page').map(({ args }) => args.at(-1) ?? '');
  expect(named.length).toBeGreaterThan(0);
  for (const name of named) expect(location(name).name).toBe('location');
});

it('listens where the compose file publishes it, above the ports of root', () => {
  const port = Number(all('listen')[0]?.args[0]);
  expect(services['proxy']?.ports?.[0]?.split(':').at(-1)).toBe(String(port));
  expect(port).toBeGreaterThan(1_024);
  expect(services['proxy']?.user).not.toMatch(/^(0|root)\b/);
});

it('takes a body that the API takes, keeps it in memory, and says what the API says of a larger one', () => {
  const routes = readFileSync(join(ROOT, 'src', 'api', 'batch-routes.ts'), 'utf8');
  const limit = /BODY_LIMIT = (\d+) \* 1024 \* 1024;/.exec(routes)?.[1];
  expect(all('client_max_body_size').map(({ args }) => args)).toEqual([[`${limit}m`]]);
  expect(all('client_body_buffer_size').map(({ args }) => args)).toEqual([[`${limit}m`]]);
  expect(all('proxy_max_temp_file_size').map(({ args }) => args)).toEqual([['0']]);
  expect(answerOf('@too_large')).toMatchObject({ status: 413, body: { statusCode: 413, error: 'payload_too_large' } });
});

it('answers as the API does where no process can, so that callers repeat it', () => {
  expect(answerOf('@unavailable')).toMatchObject({ status: 503, body: { statusCode: 503, error: 'store_unavailable' } });
  expect(location('@unavailable').inside).toContainEqual({
    name: 'add_header',
    args: ['Retry-After', '2', 'always'],
    inside: [],
  });
  for (const name of ['/', '@keyed']) {
    expect(location(name).inside).toContainEqual({
      name: 'error_page',
      args: ['502', '504', '=503', '@unavailable'],
      inside: [],
    });
  }
});

function answerOf(name: string): { status: number; body: unknown } {
  const [status, body = ''] = argsIn(location(name), 'return');
  return { status: Number(status), body: JSON.parse(body) };
}

describe('sending a request twice', () => {
  it('happens to a request that may have been carried out only where it has a key', () => {
    // Without `non_idempotent` nginx passes no POST on that has been sent.
    expect(all('proxy_next_upstream').filter(({ args }) => args.includes('non_idempotent'))).toHaveLength(1);
    expect(argsIn(location('@keyed'), 'proxy_next_upstream')).toEqual(['error', 'timeout', 'http_503', 'non_idempotent']);
    expect(argsIn(location('/'), 'proxy_next_upstream')).toEqual(['error', 'timeout']);
    // The one way there.
    expect(all('if')).toEqual([
      { name: 'if', args: ['($http_idempotency_key)'], inside: [{ name: 'return', args: ['418'], inside: [] }] },
    ]);
    const waysThere = all('error_page').filter(({ args }) => args.includes('@keyed'));
    expect(waysThere.map(({ args }) => args)).toEqual([['418', '=', '@keyed']]);
    expect(location('/').inside).toContain(waysThere[0]);
  });

  it('ends after the second time', () => {
    expect(all('proxy_next_upstream_tries').map(({ args }) => args)).toEqual([['2']]);
    expect(all('proxy_next_upstream_timeout')).toHaveLength(1);
  });

  it('leaves no process out for answers of 503, which all of them give while the log can’t be reached', () => {
    const counted = (name: string): readonly (string | undefined)[] =>
      upstreams
        .filter(({ args }) => args[0] === name)
        .flatMap(({ inside }) => inside.filter((one) => one.name === 'server'))
        .map(({ args }) => args.find((arg) => arg.startsWith('max_fails=')));
    expect(counted('api')).toEqual(['max_fails=3', 'max_fails=3']);
    expect(counted('api_repeating')).toEqual(['max_fails=0', 'max_fails=0']);
  });
});
