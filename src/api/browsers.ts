import { IncomingMessage, type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';
import helmet, { type HelmetOptions } from 'helmet';

/** In seconds: how long a browser may remember what it was told before a request. */
const PREFLIGHT_REMEMBERED = 600;

/** What a page of another origin may send. A service key is none of it: it has no place in a browser. */
const SENT_HEADERS = ['Authorization', 'Content-Type', 'Idempotency-Key', 'X-Correlation-Id', 'X-Min-Revision'];
/** What a page of another origin may read beside the body. */
const READ_HEADERS = ['Idempotency-Key', 'Idempotency-Replayed', 'Link', 'Retry-After', 'X-Correlation-Id', 'X-Ledger-Revision'];

/** Answers are data: nothing in one may be loaded, run or framed. What only old browsers know is left out. */
const STRICT: HelmetOptions = {
  contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  xFrameOptions: { action: 'deny' },
  originAgentCluster: false,
  xDnsPrefetchControl: false,
  xDownloadOptions: false,
  xPermittedCrossDomainPolicies: false,
  xXssProtection: false,
};

/** The documentation is pages: they load what is their own, styles stand in them, and pictures in their styles. */
const PAGES: HelmetOptions = {
  ...STRICT,
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      defaultSrc: ["'self'"],
      imgSrc: ["'self'", 'data:'],
      styleSrc: ["'self'", "'unsafe-inline'"],
      frameAncestors: ["'none'"],
    },
  },
};

/**
 * What browsers are told: security headers on every answer, and which origins' pages may call. Pages of other origins
 * may not where there are no origins; `*` lets all of them.
 */
export async function registerBrowserRules(
  app: FastifyInstance,
  { corsOrigins, pagesBelow }: { readonly corsOrigins: readonly string[]; readonly pagesBelow: string },
): Promise<void> {
  // Always the same, so they are made once: @fastify/helmet makes them for every request, half as much work again as
  // all that Fastify does for one.
  const [strict, pages] = [headersOf(STRICT), headersOf(PAGES)];
  app.addHook('onRequest', (request, reply, done) => {
    void reply.headers(request.routeOptions.url?.startsWith(pagesBelow) === true ? pages : strict);
    done();
  });
  if (corsOrigins.length === 0) return;
  // What a browser asks before a request is answered before anybody looks who calls, since it can't say so.
  app.addHook('onRoute', (route) => {
    if (route.method === 'OPTIONS') route.config = { ...route.config, access: { kind: 'public' } };
  });
  await app.register(cors, {
    origin: [...corsOrigins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    allowedHeaders: SENT_HEADERS,
    exposedHeaders: READ_HEADERS,
    maxAge: PREFLIGHT_REMEMBERED,
    strictPreflight: false,
  });
}

/** The headers that helmet sets. */
function headersOf(options: HelmetOptions): OutgoingHttpHeaders {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  helmet(options)(response.req, response, (error) => {
    if (error !== undefined) throw new Error('helmet made no headers', { cause: error });
  });
  return { ...response.getHeaders() };
}
