import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import type { Answer } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';

/* What browsers are told: security headers, and which origins' pages may call. */

const SHOP = 'https://shop.example.com';
const LOCAL = 'http://localhost:5173';
const STRANGER = 'https://stranger.example.com';

let database: TestDatabase;
let service: Service;
let open: Service;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url });
  open = await startService({ databaseUrl: database.url, env: { CORS_ORIGINS: `${SHOP}, ${LOCAL}` } });
});

afterAll(async () => {
  await open?.close();
  await service?.close();
  await database?.close();
});

describe('security headers', () => {
  it.each<[string, number, () => Promise<Answer>]>([
    ['an answer', 200, async () => (await service.user('ada')).get('/api/v1/credits/balance')],
    ['an answer to a service', 402, () => service.app().post('/api/v1/internal/credits/use', { userId: 'nobody', amount: 1 })],
    ['a refusal', 401, () => service.anonymous.get('/api/v1/credits/balance')],
    ['a body that is none', 400, () => service.app().post('/api/v1/internal/credits/use', [])],
    ['a route that is none', 404, () => service.anonymous.get('/nowhere')],
    ['a probe', 200, () => service.anonymous.get('/health')],
  ])('are strict on %s', async (_, status, call) => {
    const answer = await call();
    expect(answer.status).toBe(status);
    const { headers } = answer;
    expect(headers.get('content-security-policy')).toBe("default-src 'none';frame-ancestors 'none'");
    expect(headers.get('strict-transport-security')).toBe('max-age=31536000; includeSubDomains');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('DENY');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
    expect(headers.get('x-powered-by')).toBeNull();
  });

  it('let the pages of the documentation load what is their own, and nothing else', async () => {
    const { status, headers, body } = await service.anonymous.get('/docs/');
    expect(status).toBe(200);
    expect(headers.get('content-security-policy')).toBe(
      "default-src 'self';img-src 'self' data:;style-src 'self' 'unsafe-inline';frame-ancestors 'none'",
    );
    // What the page needs is its own, and none of its scripts stands in it.
    const page = String(body);
    const scripts = [...page.matchAll(/<script([^>]*)>([^<]*)</g)];
    const loaded = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, url = '']) => new URL(url, `${service.url}/docs/`));
    expect(scripts.length).toBeGreaterThan(0);
    for (const [, attributes, text] of scripts) expect([attributes, text?.trim()]).toEqual([expect.stringContaining('src='), '']);
    for (const url of loaded) {
      expect(url.origin).toBe(service.url);
      expect([url.pathname, (await fetch(url)).status]).toEqual([url.pathname, 200]);
    }
  });
});

describe('pages of other origins', () => {
  const preflight = (at: Service, origin: string, path = '/api/v1/credits/use') =>
    at.anonymous.send('OPTIONS', path, undefined, {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    });

  it('may not call where none are named', async () => {
    const answer = await preflight(service, SHOP);
    expect(answer.status).toBe(404);
    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
    const { status, headers } = await (await service.user('ada')).get('/api/v1/credits/balance', { origin: SHOP });
    expect(status).toBe(200);
    expect(headers.get('access-control-allow-origin')).toBeNull();
  });

  it.each([SHOP, LOCAL])('may call from %s, which is named', async (origin) => {
    const asked = await preflight(open, origin);
    expect(asked.status).toBe(204);
    expect(asked.headers.get('access-control-allow-origin')).toBe(origin);
    expect(asked.headers.get('access-control-allow-methods')).toBe('GET, HEAD, POST, PUT, DELETE');
    expect(asked.headers.get('access-control-allow-headers')).toBe(
      'Authorization, Content-Type, Idempotency-Key, X-Correlation-Id, X-Min-Revision',
    );
    expect(asked.headers.get('access-control-max-age')).toBe('600');
    const { status, headers } = await (await open.user('ada')).get('/api/v1/credits/balance', { origin });
    expect(status).toBe(200);
    expect(headers.get('access-control-allow-origin')).toBe(origin);
    expect(headers.get('vary')).toContain('Origin');
    expect(headers.get('access-control-expose-headers')).toContain('X-Ledger-Revision');
    // Tokens travel in a header of the page's own: no browser adds one by itself.
    expect(headers.get('access-control-allow-credentials')).toBeNull();
  });

  it('may read why they were refused', async () => {
    const { status, headers } = await open.anonymous.get('/api/v1/credits/balance', { origin: SHOP });
    expect(status).toBe(401);
    expect(headers.get('access-control-allow-origin')).toBe(SHOP);
  });

  it.each([STRANGER, 'http://shop.example.com', 'https://shop.example.com.evil.example', 'null'])(
    'may not call from %s',
    async (origin) => {
      expect((await preflight(open, origin)).headers.get('access-control-allow-origin')).toBeNull();
      const { headers } = await (await open.user('ada')).get('/api/v1/credits/balance', { origin });
      expect(headers.get('access-control-allow-origin')).toBeNull();
    },
  );

  it('may call from everywhere with *, though no credentials of a browser count', async () => {
    const all = await startService({ databaseUrl: database.url, env: { CORS_ORIGINS: '*' } });
    try {
      const { status, headers } = await preflight(all, STRANGER);
      expect(status).toBe(204);
      expect(headers.get('access-control-allow-origin')).toBe('*');
      expect(headers.get('access-control-allow-credentials')).toBeNull();
    } finally {
      await all.close();
    }
  });

  it('have to be named as origins', () => {
    const read = (origins: string) => readConfig({ DATABASE_URL: 'postgres://localhost/mana', CORS_ORIGINS: origins });
    expect(read(`${SHOP},${LOCAL},`).corsOrigins).toEqual([SHOP, LOCAL]);
    expect(read('').corsOrigins).toEqual([]);
    for (const wrong of ['shop.example.com', `${SHOP}/`, `${SHOP}/path`, 'ftp://shop.example.com', `${SHOP};${LOCAL}`, 'true']) {
      expect(() => read(wrong)).toThrow('CORS_ORIGINS');
    }
  });
});
