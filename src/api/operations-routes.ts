import { z } from 'zod';
import { positionsBetween, readAppliedPosition } from '../projections/router-position.ts';
import { type Routes, typed } from './parts.ts';

/** Never limited: a probe that is refused takes a process out that does its work. */
const publicly = { access: { kind: 'public' }, rateLimit: false } as const;

const readySchema = z.object({
  /** `stopping`: all may be well, and yet nothing more should be sent here. */
  status: z.enum(['ready', 'unavailable', 'stopping']),
  store: z.boolean(),
  database: z.boolean(),
  queue: z.boolean(),
  /** How many positions of the log the read models are behind; null where it can't be told. */
  projectionLag: z.number().nullable(),
});

/** What whoever runs the service looks at. */
export const operationsRoutes: Routes = (parts) => async (app) => {
  const routes = typed(app);

  routes.get(
    '/health',
    {
      config: publicly,
      schema: {
        tags: ['operations'],
        response: { 200: z.object({ status: z.literal('ok'), service: z.string(), timestamp: z.string() }) },
      },
    },
    async () => ({ status: 'ok' as const, service: 'mana-credits', timestamp: new Date().toISOString() }),
  );

  routes.get(
    '/ready',
    { config: publicly, schema: { tags: ['operations'], response: { 200: readySchema, 503: readySchema } } },
    async (_, reply) => {
      const [last, applied, queue] = await Promise.allSettled([
        parts.store.lastPosition(),
        readAppliedPosition(parts.db),
        parts.pingQueue(),
      ]);
      const answers = [last, applied, queue].map(({ status }) => status === 'fulfilled');
      const [store = false, database = false, queueAnswers = false] = answers;
      const reachable = store && database && queueAnswers;
      const status = parts.isStopping() ? 'stopping' : reachable ? 'ready' : 'unavailable';
      const lag =
        last.status === 'fulfilled' && applied.status === 'fulfilled' ? positionsBetween(applied.value, last.value) : null;
      return reply
        .status(status === 'ready' ? 200 : 503)
        .send({ status, store, database, queue: queueAnswers, projectionLag: lag });
    },
  );

  routes.get(
    '/metrics',
    {
      config: publicly,
      schema: { tags: ['operations'], response: { 200: { content: { 'text/plain': { schema: z.string() } } } } },
    },
    async (_, reply) => reply.type(parts.metrics.contentType).send(await parts.metrics.metrics()),
  );
};
