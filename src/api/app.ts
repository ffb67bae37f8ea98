import { randomUUID } from 'node:crypto';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify';
import { jsonSchemaTransform, validatorCompiler } from 'fastify-type-provider-zod';
import { type AuthOptions, registerAuth } from './auth.ts';
import { balanceRoutes } from './balance-routes.ts';
import { batchRoutes } from './batch-routes.ts';
import { registerBrowserRules } from './browsers.ts';
import { catalogueRoutes } from './catalogue-routes.ts';
import { refuseConnection } from './client-errors.ts';
import { ApiError, invalid, replyWithError } from './errors.ts';
import { explainRoutes } from './explain-routes.ts';
import { grantRoutes } from './grant-routes.ts';
import { measureRequests } from './metrics.ts';
import { operationsRoutes } from './operations-routes.ts';
import type { ApiParts, Routes } from './parts.ts';
import { privacyRoutes } from './privacy-routes.ts';
import { type RateLimits, registerRateLimits } from './rate-limits.ts';
import { refundRoutes } from './refund-routes.ts';
import { reservationRoutes } from './reservation-routes.ts';
import { faultOfBody } from './schemas.ts';
import { registerStopping } from './stopping.ts';
import { transactionRoutes } from './transaction-routes.ts';
import { usageRoutes } from './usage-routes.ts';
import { useRoutes } from './use-routes.ts';
import { validateRoutes } from './validate-routes.ts';

/** In bytes. */
const BODY_LIMIT = 256 * 1024;
const DOCS = '/docs';
const CORRELATION_ID = /^[\x21-\x7e]{1,128}$/;

/** Every route below /api/v1, group by group. */
const ROUTES: readonly Routes[] = [
  balanceRoutes,
  validateRoutes,
  useRoutes,
  transactionRoutes,
  usageRoutes,
  explainRoutes,
  reservationRoutes,
  grantRoutes,
  refundRoutes,
  batchRoutes,
  privacyRoutes,
  catalogueRoutes,
];

export type AppOptions = {
  readonly auth: AuthOptions;
  readonly log: FastifyBaseLogger;
  readonly baseUrl: string;
  /** Whose pages may call from a browser. */
  readonly corsOrigins: readonly string[];
  /** Addresses of the proxies that are believed when they say for whom they ask. */
  readonly trustProxy: readonly string[];
  /** Nobody is limited where there are none. */
  readonly rateLimits: RateLimits | undefined;
};

/** Builds the app; whoever calls listens and closes. */
export async function buildApp(parts: ApiParts, options: AppOptions): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: options.log,
    logController: new LogController({ disableRequestLogging: !['debug', 'trace'].includes(options.log.level) }),
    bodyLimit: BODY_LIMIT,
    trustProxy: options.trustProxy.length > 0 && [...options.trustProxy],
    // A logger for each request would show in the profile; what is logged of one names it.
    childLoggerFactory: (logger) => logger,
    // A request's id is its correlation id: given by the caller, or made here.
    genReqId: ({ headers }) => {
      const given = headers['x-correlation-id'];
      return typeof given === 'string' && CORRELATION_ID.test(given) ? given : randomUUID();
    },
    // What arrives while it closes is refused in the words of the contract; see stopping.ts.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 1_024 },
    frameworkErrors: (error, request, reply) => void replyWithError(error, request, reply),
    clientErrorHandler: refuseConnection,
  });
  app.setValidatorCompiler(validatorCompiler);
  // Answers are made to their schemas by the type checker; checking them again would be work on the hot path.
  app.setSerializerCompiler(() => JSON.stringify);
  // JSON in: a text is no body, whatever the framework would make of it.
  app.removeContentTypeParser('text/plain');
  app.setErrorHandler(replyWithError);
  app.setNotFoundHandler((request, reply) =>
    replyWithError(new ApiError(404, 'not_found', 'There is no such route'), request, reply),
  );

  app.decorateRequest('supplied', null);
  // Hooks of every request say when they are done rather than promise it: a promise each would show in the profile.
  app.addHook('onRequest', (request, reply, done) => {
    void reply.header('x-correlation-id', request.id);
    // Clients that name a type with every request name it where there is nothing to read, too.
    const { method, headers } = request;
    if (method === 'DELETE' && (headers['content-length'] ?? '0') === '0' && headers['transfer-encoding'] === undefined)
      delete headers['content-type'];
    done();
  });
  registerStopping(app, parts.isStopping);
  app.addHook('preValidation', (request, _, done) => {
    request.supplied = request.body;
    const fault = faultOfBody(request.body);
    done(fault === undefined ? undefined : invalid([fault]));
  });

  await registerDescription(app, options.baseUrl);
  await registerBrowserRules(app, { corsOrigins: options.corsOrigins, pagesBelow: DOCS });
  await registerAuth(app, options.auth);
  if (options.rateLimits !== undefined) await registerRateLimits(app, options.rateLimits);
  measureRequests(app, parts.metrics);
  // The pages of the documentation are routes of a library, which can't say who may call them.
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith(DOCS)) route.config = { ...route.config, access: { kind: 'public' } };
  });
  await app.register(swaggerUi, { routePrefix: DOCS });
  await app.register(operationsRoutes(parts));
  for (const routes of ROUTES) {
    await app.register(routes(parts), { prefix: '/api/v1' });
  }
  return app;
}

/** What OpenAPI says of all routes; each adds its own schemas. */
async function registerDescription(app: FastifyInstance, baseUrl: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'mana-credits',
        version: '1.0.0',
        description: 'An event-sourced credit ledger. Amounts are credits with at most 6 decimals.',
      },
      servers: [{ url: baseUrl }],
      components: {
        securitySchemes: {
          user: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          service: { type: 'apiKey', in: 'header', name: 'X-Service-Key' },
        },
      },
    },
    transform: jsonSchemaTransform,
  });
}
