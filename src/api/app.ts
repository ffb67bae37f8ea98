import { randomUUID } from 'node:crypto';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { type FastifyBaseLogger, type FastifyInstance, fastify, LogController } from 'fastify';
import { jsonSchemaTransform, validatorCompiler } from 'fastify-type-provider-zod';
import { type AuthOptions, registerAuth } from './auth.ts';
import { balanceRoutes } from './balance-routes.ts';
import { ApiError, invalid, replyWithError } from './errors.ts';
import { grantRoutes } from './grant-routes.ts';
import { measureRequests } from './metrics.ts';
import { operationsRoutes } from './operations-routes.ts';
import type { ApiParts } from './parts.ts';
import { reservationRoutes } from './reservation-routes.ts';
import { DEEPEST, isTooDeep } from './schemas.ts';
import { transactionRoutes } from './transaction-routes.ts';
import { useRoutes } from './use-routes.ts';

/** In bytes. */
const BODY_LIMIT = 256 * 1024;
const DOCS = '/docs';
const CORRELATION_ID = /^[\x21-\x7e]{1,128}$/;

/** Builds the app; whoever calls listens and closes. */
export async function buildApp(
  parts: ApiParts,
  options: { readonly auth: AuthOptions; readonly log: FastifyBaseLogger; readonly baseUrl: string },
): Promise<FastifyInstance> {
  const app = fastify({
    loggerInstance: options.log,
    logController: new LogController({ disableRequestLogging: !['debug', 'trace'].includes(options.log.level) }),
    bodyLimit: BODY_LIMIT,
    // A logger for each request would show in the profile; what is logged of one names it.
    childLoggerFactory: (logger) => logger,
    // A request's id is its correlation id: given by the caller, or made here.
    genReqId: ({ headers }) => {
      const given = headers['x-correlation-id'];
      return typeof given === 'string' && CORRELATION_ID.test(given) ? given : randomUUID();
    },
    routerOptions: { maxParamLength: 1_024 },
    frameworkErrors: (error, request, reply) => void replyWithError(error, request, reply),
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
    done();
  });
  app.addHook('preValidation', (request, _, done) => {
    request.supplied = request.body;
    const fault = { path: 'body', message: `must not nest deeper than ${DEEPEST} levels` };
    done(isTooDeep(request.body) ? invalid([fault]) : undefined);
  });

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'mana-credits',
        version: '1.0.0',
        description: 'An event-sourced credit ledger. Amounts are credits with at most 6 decimals.',
      },
      servers: [{ url: options.baseUrl }],
      components: {
        securitySchemes: {
          user: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          service: { type: 'apiKey', in: 'header', name: 'X-Service-Key' },
        },
      },
    },
    transform: jsonSchemaTransform,
  });
  await registerAuth(app, options.auth);
  measureRequests(app, parts.metrics);
  // The pages of the documentation are routes of a library, which can't say who may call them.
  app.addHook('onRoute', (route) => {
    if (route.url.startsWith(DOCS)) route.config = { ...route.config, access: { kind: 'public' } };
  });
  await app.register(swaggerUi, { routePrefix: DOCS });
  await app.register(operationsRoutes(parts));
  for (const routes of [balanceRoutes, useRoutes, transactionRoutes, reservationRoutes, grantRoutes]) {
    await app.register(routes(parts), { prefix: '/api/v1' });
  }
  return app;
}
