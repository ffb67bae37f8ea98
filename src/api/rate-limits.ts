import rateLimit, { normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ApiError } from './errors.ts';

/** Requests a minute: of a user, of a service key (whichever apps it acts for), and from an address on public routes. */
export type RateLimits = { readonly user: number; readonly service: number; readonly address: number };

const WINDOW_MS = 60_000;
/** How many callers are counted at once; who has not called for longest is forgotten first. */
const COUNTED_CALLERS = 50_000;

/**
 * Refuses with 429 and Retry-After who calls too often. Callers are counted in this process alone: with n processes
 * behind a balancer that spreads evenly, up to n times as many requests pass. Counting costs 2 µs a request.
 */
export async function registerRateLimits(app: FastifyInstance, limits: RateLimits): Promise<void> {
  await app.register(rateLimit, {
    timeWindow: WINDOW_MS,
    cache: COUNTED_CALLERS,
    // Runs after it is known who calls: hooks of a route come after those of all routes.
    hook: 'onRequest',
    keyGenerator: countedAs,
    max: (request) => {
      const { caller } = request;
      if (caller === null) return limits.address;
      return caller.actor.kind === 'user' ? limits.user : limits.service;
    },
    addHeadersOnExceeding: { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false },
    addHeaders: {
      'x-ratelimit-limit': false,
      'x-ratelimit-remaining': false,
      'x-ratelimit-reset': false,
      'retry-after': false,
    },
    errorResponseBuilder: (_, { max, ttl }) =>
      new ApiError(429, 'rate_limited', `More than ${max} requests in a minute`, {}, Math.max(1, Math.ceil(ttl * 0.001))),
  });
}

/** Each kind of caller begins in its own way, so that nobody is counted as somebody else. */
function countedAs({ caller, ip }: FastifyRequest): string {
  if (caller === null) return `address ${normalizeIP(ip)}`;
  return caller.actor.kind === 'service' ? `key ${caller.actor.key}` : caller.name;
}
