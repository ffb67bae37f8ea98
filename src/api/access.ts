import type { FastifyRequest } from 'fastify';
import type { Actor } from '../events/metadata.ts';
import { ApiError } from './errors.ts';

/** What a service key may do. */
export const SCOPES = [
  'credits:read',
  'credits:write',
  'credits:grant',
  'credits:refund-unlinked',
  'audit:read',
  'projections:write',
  'catalogue:write',
  'privacy:erase',
] as const;
export type Scope = (typeof SCOPES)[number];

/** The key of old, as events name it. No key from the table can have this name. */
export const LEGACY_KEY_NAME = 'MANA_SERVICE_KEY';

/** What a user may be, as their token's claim `role` says. */
export const ROLES = ['user', 'support', 'finance', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** Who may call a route: stands in its `config`. `either` is a user of one of the roles, or a service with the scope. */
export type Access =
  | { readonly kind: 'public' }
  | { readonly kind: 'user' }
  | { readonly kind: 'service'; readonly scope: Scope }
  | { readonly kind: 'either'; readonly roles: readonly Role[]; readonly scope: Scope };

/** Who calls, once it is proved. */
export type Caller = {
  readonly actor: Actor;
  /** Whose idempotency keys are meant. */
  readonly name: string;
  /** A user's role; null for a service. */
  readonly role: Role | null;
  /** What a service may do; a user has none. */
  readonly scopes: ReadonlySet<Scope>;
};

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access;
  }
  interface FastifyRequest {
    caller: Caller | null;
  }
}

/**
 * What a caller is told who lacks a scope, undefined for one who has it. For what a route can't know before it has read
 * the body: a refund without a transaction, a command of a batch.
 */
export function lackOfScope(caller: Caller | null, scope: Scope): ApiError | undefined {
  if (caller?.scopes.has(scope) === true) return undefined;
  return new ApiError(403, 'forbidden', `The service key lacks the scope ${scope}`, { details: { scope } });
}

/** Throws a 403 that names the scope where the caller lacks it. */
export function needScope({ caller }: FastifyRequest, scope: Scope): void {
  const error = lackOfScope(caller, scope);
  if (error !== undefined) throw error;
}

/** What a user is told whose role isn't among these, undefined for one whose role is. */
export function lackOfRole({ role }: Caller, roles: readonly Role[]): ApiError | undefined {
  if (role !== null && roles.includes(role)) return undefined;
  return new ApiError(403, 'forbidden', `The user lacks the role ${roles.join(' or ')}`, { details: { roles } });
}
