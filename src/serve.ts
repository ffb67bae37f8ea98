import { buildApp } from './api/app.ts';
import { createMetrics } from './api/metrics.ts';
import type { Context } from './context.ts';

/**
 * Builds the app on a context and listens. Closing it answers what was accepted and takes nothing more; before that, from
 * when `isStopping` says so, it says that it is not ready, and answers all the same.
 */
export async function serve(context: Context, { isStopping = () => false }: { readonly isStopping?: () => boolean } = {}) {
  const { config, log, accounts, catalogue, catalogueCommands, personal, serviceKeys, clock, db, store, pingQueue } = context;
  const { follower } = accounts;
  follower.start((error) => log.warn({ err: error }, 'the log is not followed'));
  const metrics = createMetrics({ store, db, waiting: () => accounts.waiting, freshness: follower });
  const { serviceKey, jwtSecret, authUrl, baseUrl, signupGrant, corsOrigins, trustProxy, rateLimits } = config;
  const app = await buildApp(
    { accounts, catalogue, catalogueCommands, personal, clock, db, store, pingQueue, isStopping, metrics, signupGrant },
    {
      auth: { serviceKey, serviceKeys, clock, jwtSecret, authUrl },
      log,
      baseUrl,
      corsOrigins,
      trustProxy,
      rateLimits,
    },
  );
  await app.listen({ port: config.port, host: config.host });
  return app;
}
