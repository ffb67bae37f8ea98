import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { giveCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { ROWS } from './callers-table.ts';
import { allowConnections, refuseConnections } from './connections.ts';
import { type Service, startService } from '../support/service.ts';
import { faultsOfOpenApi } from './open-api-faults.ts';

let database: TestDatabase;
let service: Service;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url, workers: true });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

describe('GET /health', () => {
  it('says that the process is alive', async () => {
    const { status, body } = await service.anonymous.get('/health');
    expect(status).toBe(200);
    expect(body).toEqual({ status: 'ok', service: 'mana-credits', timestamp: expect.any(String) });
    const { timestamp } = body as { timestamp: string };
    expect(new Date(timestamp).toISOString()).toBe(timestamp);
  });
});

describe('GET /ready', () => {
  it('says what it can reach, and how far the read models are behind', async () => {
    await giveCredits(service.app(), 'ready-user', 1);
    await vi.waitFor(
      async () => {
        const { status, body } = await service.anonymous.get('/ready');
        expect(status).toBe(200);
        expect(body).toEqual({ status: 'ready', store: true, database: true, queue: true, projectionLag: 0 });
      },
      { timeout: 15_000, interval: 100 },
    );
  });

  it('is 503 while the database is gone, and ready again when it is back', async () => {
    await refuseConnections(database);
    try {
      const { status, body } = await service.anonymous.get('/ready');
      expect(status).toBe(503);
      // A queue on Redis is still there, and a log in KurrentDB: that is not enough.
      const [queue, store] = [inject('redisUrl') !== null, inject('eventStoreUrl') !== null];
      expect(body).toEqual({ status: 'unavailable', store, database: false, queue, projectionLag: null });
      expect((await service.anonymous.get('/health')).status).toBe(200);
    } finally {
      await allowConnections(database);
    }
    await vi.waitFor(async () => expect((await service.anonymous.get('/ready')).status).toBe(200), {
      timeout: 15_000,
      interval: 100,
    });
  });
});

describe('GET /metrics', () => {
  it('tells Prometheus how the ledger stands', async () => {
    await giveCredits(service.app(), 'metrics-user', 1);
    const { status, headers, body } = await service.anonymous.get('/metrics');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/plain/);
    expect(body).toMatch(/^ledger_commands_waiting 0$/m);
    expect(body).toMatch(/^ledger_projection_lag_positions \d+$/m);
    expect(body).toMatch(/^ledger_parked_streams 0$/m);
    expect(body).toMatch(
      /^http_request_duration_seconds_count\{method="POST",route="\/api\/v1\/internal\/credits\/grant",status="200"\} \d+$/m,
    );
  });

  it('still tells what the process knows while the database is gone', async () => {
    await refuseConnections(database);
    try {
      const { status, body } = await service.anonymous.get('/metrics');
      expect(status).toBe(200);
      expect(body).toMatch(/^ledger_commands_waiting 0$/m);
      expect(body).toMatch(/^process_cpu_seconds_total /m);
      // A number that can't be asked for is none, rather than the last one known.
      expect(body).toMatch(/^ledger_projection_lag_positions NaN$/im);
    } finally {
      await allowConnections(database);
    }
  });
});

describe('GET /docs', () => {
  it('shows the documentation', async () => {
    const { status, headers } = await service.anonymous.get('/docs/');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/html/);
  });

  it('describes every route in OpenAPI 3.1', async () => {
    const { status, body } = await service.anonymous.get('/docs/json');
    expect(status).toBe(200);
    expect(faultsOfOpenApi(body)).toEqual([]);
    const { paths } = body as { paths: Record<string, Record<string, unknown>> };
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    // All but the documentation itself.
    const routes = new Set(ROWS.map(({ route }) => route).filter((route) => route !== 'GET /docs/json'));
    const expected = [...routes].map((route) => route.replace(/^\w+/, (method) => method.toLowerCase()));
    expect(described.toSorted()).toEqual(expected.map((route) => route.replaceAll(/:(\w+)/g, '{$1}')).toSorted());
  });
});
