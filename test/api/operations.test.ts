import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { giveCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
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
      expect(body).toEqual({ status: 'unavailable', store: false, database: false, queue: false, projectionLag: null });
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
    expect(described.toSorted()).toEqual([
      'get /api/v1/credits/balance',
      'get /api/v1/credits/transactions',
      'get /api/v1/internal/credits/balance/{userId}',
      'get /api/v1/internal/credits/reservations/{id}',
      'get /api/v1/internal/credits/transactions/{userId}',
      'get /health',
      'get /metrics',
      'get /ready',
      'post /api/v1/credits/use',
      'post /api/v1/internal/credits/commit',
      'post /api/v1/internal/credits/grant',
      'post /api/v1/internal/credits/init',
      'post /api/v1/internal/credits/refund-reservation',
      'post /api/v1/internal/credits/reserve',
      'post /api/v1/internal/credits/use',
      'post /api/v1/internal/credits/validate',
    ]);
  });
});
