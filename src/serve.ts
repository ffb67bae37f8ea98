import { buildApp } from './api/app.ts';
import { createMetrics } from './api/metrics.ts';
import type { Context } from './context.ts';

/** Builds the app on a context and listens. Closing it answers what was accepted and takes nothing more. */
export async function serve(context: Context) {
  const { config, log, accounts, catalogue, catalogueCommands, personal, serviceKeys, clock, db, store, pingQueue } = context;
  const metrics = createMetrics({ store, db, waiting: () => accounts.waiting });
  const { serviceKey, jwtSecret, authUrl, baseUrl, signupGrant, corsOrigins, trustProxy, rateLimits } = config;
  const app = await buildApp(
    { accounts, catalogue, catalogueCommands, personal, clock, db, store, pingQueue, metrics, signupGrant },
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
