import { hash, timingSafeEqual } from 'node:crypto';
import fastifyJwt from '@fastify/jwt';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Actor } from '../events/metadata.ts';
import { ApiError, invalid } from './errors.ts';
import { AuthUnavailableError, createJwks } from './jwks.ts';
import { userIdSchema } from './schemas.ts';

/** What a service key may do. */
export const SCOPES = ['credits:read', 'credits:write', 'credits:grant'] as const;
export type Scope = (typeof SCOPES)[number];

/** Who may call a route: stands in its `config`. */
export type Access =
  | { readonly kind: 'public' }
  | { readonly kind: 'user' }
  | { readonly kind: 'service'; readonly scope: Scope };

/** Who calls, once it is proved. */
export type Caller = { readonly actor: Actor /** Whose idempotency keys are meant. */; readonly name: string };

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    caller: Caller | null;
  }
}

export type AuthOptions = {
  readonly serviceKey: string | undefined;
  readonly jwtSecret: string | undefined;
  readonly authUrl: string | undefined;
};

const AUDIENCE = 'mana';
/** What the auth service may sign with. */
const KEY_PAIRS = ['EdDSA', 'RS256', 'ES256'] as const;
/** In ms: how long a token that was found good is not looked at again, while its key stands. */
const BELIEVED_FOR = 60_000;
/** Who issues tokens in a setup without an auth service. */
export const LOCAL_ISSUER = 'mana-credits';

const claimsSchema = z.object({ sub: userIdSchema, role: z.string().default('user') });
const appIdSchema = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores');

/** Proves who calls before anything of a request is read, for every route by what its config says. */
export async function registerAuth(app: FastifyInstance, { serviceKey, jwtSecret, authUrl }: AuthOptions): Promise<void> {
  await app.register(fastifyJwt, {
    secret: tokenKey({ jwtSecret, authUrl }),
    decode: { complete: true },
    verify: {
      algorithms: [...(authUrl === undefined ? [] : KEY_PAIRS), ...(jwtSecret === undefined ? [] : (['HS256'] as const))],
      allowedAud: AUDIENCE,
      allowedIss: [...(authUrl === undefined ? [] : [authUrl]), ...(jwtSecret === undefined ? [] : [LOCAL_ISSUER])],
      // What is allowed is checked only where it is there at all.
      requiredClaims: ['sub', 'exp', 'iss', 'aud'],
      cache: 10_000,
      cacheTTL: BELIEVED_FOR,
    },
  });
  const expectedKey = serviceKey === undefined ? undefined : digest(serviceKey);
  app.decorateRequest('caller', null);
  app.addHook('onRequest', (request, _, done) => {
    const access = request.routeOptions.config.access;
    const admit = (caller: Caller | null) => {
      request.caller = caller;
      done();
    };
    // A route that doesn't exist answers 404; one that forgot to say who may call is closed to all.
    if (request.is404 || access?.kind === 'public') admit(null);
    else if (access === undefined) done(new ApiError(403, 'forbidden', 'Nobody may call this route'));
    else if (access.kind === 'user') userOf(request).then(admit, done);
    else {
      const caller = serviceOf(request, expectedKey);
      if (caller instanceof ApiError) done(caller);
      else admit(caller);
    }
  });
}

/**
 * Which key a token must be signed with, by its algorithm and by who it says has issued it: a secret never verifies what
 * a key pair should have signed, and neither speaks in the other's name.
 */
function tokenKey({ jwtSecret, authUrl }: Pick<AuthOptions, 'jwtSecret' | 'authUrl'>) {
  const jwks = authUrl === undefined ? undefined : createJwks(`${authUrl}/api/auth/jwks`);
  return async (_: FastifyRequest, token: unknown): Promise<string> => {
    // Nothing of it is proved yet; with the key that this leads to, all of it is.
    const { header = {}, payload = {} } = token as { header?: { alg?: unknown; kid?: unknown }; payload?: { iss?: unknown } };
    const key = await keyFor(header, payload.iss);
    if (key === undefined) throw new ApiError(401, 'unauthorized', 'The token was signed with an unknown key');
    return key;
  };

  async function keyFor({ alg, kid }: { alg?: unknown; kid?: unknown }, issuer: unknown): Promise<string | undefined> {
    if (alg === 'HS256') return issuer === LOCAL_ISSUER ? jwtSecret : undefined;
    const isTheirs = issuer === authUrl && KEY_PAIRS.some((one) => one === alg);
    return isTheirs && typeof kid === 'string' ? jwks?.(kid) : undefined;
  }
}

async function userOf(request: FastifyRequest): Promise<Caller> {
  let claims: unknown;
  try {
    claims = await request.jwtVerify();
  } catch (error) {
    // Nobody is told that their token is bad where nobody can tell.
    if (error instanceof AuthUnavailableError) throw error;
    throw new ApiError(401, 'unauthorized', 'A valid bearer token is needed');
  }
  // The verifier hands on the whole token where it was told to decode all of it.
  const parsed = claimsSchema.safeParse((claims as { payload?: unknown }).payload ?? claims);
  if (!parsed.success) throw new ApiError(401, 'unauthorized', 'The token names no user');
  const { sub } = parsed.data;
  return { actor: { kind: 'user', user: sub }, name: `user:${sub}` };
}

function serviceOf(request: FastifyRequest, expected: Buffer | undefined): Caller | ApiError {
  const key = request.headers['x-service-key'];
  if (typeof key !== 'string' || expected === undefined || !timingSafeEqual(digest(key), expected)) {
    return new ApiError(401, 'unauthorized', 'A valid X-Service-Key is needed');
  }
  const appId = appIdSchema.safeParse(request.headers['x-app-id'] ?? 'default');
  if (!appId.success) return invalid([{ path: 'X-App-Id', message: appId.error.issues[0]?.message ?? 'is wrong' }]);
  return { actor: { app: appId.data, key: 'MANA_SERVICE_KEY', kind: 'service' }, name: `app:${appId.data}` };
}

/** The user whose token a request came with, on routes for users. */
export function callingUser({ caller }: FastifyRequest): string {
  if (caller?.actor.kind !== 'user') throw new ApiError(401, 'unauthorized', 'A valid bearer token is needed');
  return caller.actor.user;
}

/** Of one length whatever the key, so that a comparison takes the same time. */
function digest(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}
