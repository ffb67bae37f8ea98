import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Store } from '../events/store.ts';
import { countParked } from '../projections/checkpoints.ts';
import type { ReadDatabase } from '../projections/database.ts';
import { positionsBetween, readAppliedPosition } from '../projections/router-position.ts';

/** What Prometheus is told. The ledger's own numbers are asked for when the metrics are: nothing is counted on the hot path. */
export function createMetrics({
  store,
  db,
  waiting,
  freshness,
}: {
  store: Pick<Store, 'lastPosition'>;
  db: ReadDatabase;
  waiting: () => number;
  freshness: { readonly conflicts: number; readonly brought: number };
}): Registry {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'ledger_commands_waiting',
    help: 'Commands that wait for their answer in this process',
    registers,
    collect() {
      this.set(waiting());
    },
  });
  new Counter({
    name: 'ledger_conflicts_total',
    help: 'Batches that were decided again, since another process had written their account',
    registers,
    collect() {
      this.reset();
      this.inc(freshness.conflicts);
    },
  });
  new Counter({
    name: 'ledger_followed_events_total',
    help: 'Events of other processes that were followed before they could make a conflict',
    registers,
    collect() {
      this.reset();
      this.inc(freshness.brought);
    },
  });
  new Gauge({
    name: 'ledger_projection_lag_positions',
    help: 'Positions that the read models are behind the log',
    registers,
    async collect() {
      this.set(
        await orNone(async () => {
          const [last, applied] = await Promise.all([store.lastPosition(), readAppliedPosition(db)]);
          return positionsBetween(applied, last);
        }),
      );
    },
  });
  new Gauge({
    name: 'ledger_parked_streams',
    help: 'Streams with an event that could not be applied: each wants somebody to look',
    registers,
    async collect() {
      this.set(await orNone(() => countParked(db)));
    },
  });
  return registry;
}

/** A number that can't be asked for is none: all others are worth most while the database is gone. */
function orNone(ask: () => Promise<number>): Promise<number> {
  return ask().catch(() => Number.NaN);
}

/** Measures how long requests take, by route and status. */
export function measureRequests(app: FastifyInstance, registry: Registry): void {
  const seconds = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'How long requests took',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    registers: [registry],
  });
  app.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'none';
    seconds.observe({ method: request.method, route, status: reply.statusCode }, reply.elapsedTime * 0.001);
    done();
  });
}
