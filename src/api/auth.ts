import fastifyJwt from '@fastify/jwt';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ServiceKeys } from '../operational/service-keys.ts';
import { type Access, type Caller, lackOfRole, lackOfScope, ROLES, type Scope } from './access.ts';
import { ApiError } from './errors.ts';
import { AuthUnavailableError, createJwks } from './jwks.ts';
import { userIdSchema } from './schemas.ts';
import { createServiceCallers } from './service-callers.ts';

export type AuthOptions = {
  /** The single key of old, with every scope. */
  readonly serviceKey: string | undefined;
  readonly serviceKeys: ServiceKeys;
  /** By whose time service keys end. */
  readonly clock: { now(): number };
  readonly jwtSecret: string | undefined;
  readonly authUrl: string | undefined;
};

const AUDIENCE = 'mana';
/** What the auth service may sign with. */
const KEY_PAIRS = ['EdDSA', 'RS256', 'ES256'] as const;
/** In ms: how long a token that was found good is not looked at again, while its key stands. */
const BELIEVED_FOR = 60_000;
const NO_SCOPE: ReadonlySet<Scope> = new Set();
/** Who issues tokens in a setup without an auth service. */
export const LOCAL_ISSUER = 'mana-credits';

const claimsSchema = z.object({ sub: userIdSchema, role: z.enum(ROLES).catch('user') });

/** Proves who calls before anything of a request is read, for every route by what its config says. */
export async function registerAuth(app: FastifyInstance, options: AuthOptions): Promise<void> {
  const { serviceKey, serviceKeys, clock, jwtSecret, authUrl } = options;
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
  const serviceOf = createServiceCallers({ legacyKey: serviceKey, keys: serviceKeys, now: () => clock.now() });
  app.decorateRequest('caller', null);
  app.addHook('onRequest', (request, _, done) => {
    const access = request.routeOptions.config.access;
    // A route that doesn't exist answers 404; one that forgot to say who may call is closed to all.
    if (request.is404 || access?.kind === 'public') done();
    else if (access === undefined) done(new ApiError(403, 'forbidden', 'Nobody may call this route'));
    else if (access.kind === 'user' || (access.kind === 'either' && request.headers['x-service-key'] === undefined)) {
      userOf(request).then((caller) => judge(request, caller, done), done);
    } else {
      const caller = serviceOf({ key: request.headers['x-service-key'], app: request.headers['x-app-id'] });
      // Only a key that wasn't read lately is worth a promise.
      if (caller instanceof Promise) caller.then((known) => judge(request, known, done), done);
      else judge(request, caller, done);
    }
  });
}

/** Lets a caller through who lacks nothing for the route. */
function judge(request: FastifyRequest, caller: Caller | ApiError, done: (refusal?: ApiError) => void): void {
  const refusal = caller instanceof ApiError ? caller : refusalOf(caller, request.routeOptions.config.access);
  if (!(caller instanceof ApiError) && refusal === undefined) request.caller = caller;
  done(refusal);
}

/** What a proved caller lacks for a route, undefined for one who lacks nothing. */
function refusalOf(caller: Caller, access: Access | undefined): ApiError | undefined {
  switch (access?.kind) {
    case undefined:
    case 'public':
    case 'user':
      return undefined;
    case 'service':
      return lackOfScope(caller, access.scope);
    case 'either':
      return caller.role === null ? lackOfScope(caller, access.scope) : lackOfRole(caller, access.roles);
    default:
      return access satisfies never;
  }
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
  const { sub, role } = parsed.data;
  return { actor: { kind: 'user', user: sub }, name: `user:${sub}`, role, scopes: NO_SCOPE };
}

/** The user whose token a request came with, on routes for users. */
export function callingUser({ caller }: FastifyRequest): string {
  if (caller?.actor.kind !== 'user') throw new ApiError(401, 'unauthorized', 'A valid bearer token is needed');
  return caller.actor.user;
}
