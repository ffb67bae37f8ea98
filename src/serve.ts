import { buildApp } from './api/app.ts';
import { createMetrics } from './api/metrics.ts';
import type { Context } from './context.ts';

/** Builds the app on a context and listens. Closing it answers what was accepted and takes nothing more. */
export async function serve(context: Context) {
  const { config, log, accounts, personal, clock, db, store, pingQueue } = context;
  const metrics = createMetrics({ store, db, waiting: () => accounts.waiting });
  const { serviceKey, jwtSecret, authUrl, baseUrl, signupGrant } = config;
  const app = await buildApp(
    { accounts, personal, clock, db, store, pingQueue, metrics, signupGrant },
    { auth: { serviceKey, jwtSecret, authUrl }, log, baseUrl },
  );
  await app.listen({ port: config.port, host: config.host });
  return app;
}
