import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { creditsFromMicro, formatCredits, micro } from '../events/amounts.ts';
import { UnreadableEventError } from '../events/event-types.ts';
import { StoreUnavailableError } from '../events/store.ts';
import { wireId } from '../events/wire-ids.ts';
import { ClockSkewError, OverloadedError } from '../commands/write-path/envelope.ts';
import type { Rejection } from '../commands/rejection.ts';
import { AuthUnavailableError } from './jwks.ts';

/** One fault of an input: where it lies, and what is wrong. */
type Fault = { readonly path: string; readonly message: string };

/** What a caller is told: a status, a code that never changes, and a message for people. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly statusCode: number;
  readonly code: string;
  /** `details`, and what older callers look for at the top level. */
  readonly more: { readonly [key: string]: unknown };
  readonly retryAfter: number | undefined;

  constructor(
    statusCode: number,
    code: string,
    message: string,
    more: { readonly [key: string]: unknown } = {},
    retryAfter?: number,
  ) {
    super(message);
    this.statusCode = statusCode;
    this.code = code;
    this.more = more;
    this.retryAfter = retryAfter;
  }
}

/** A 400 that names every fault. */
export function invalid(faults: readonly Fault[]): ApiError {
  return new ApiError(400, 'validation_failed', faults.map(({ path, message }) => `${path}: ${message}`).join('; '), {
    details: faults,
  });
}

/** What a rule of the ledger says no to, as HTTP says it. */
export function errorOfRejection(rejection: Rejection): ApiError {
  switch (rejection.code) {
    case 'insufficient_credits': {
      const { required, available, operation } = rejection;
      const message = `Insufficient credits. Required: ${formatCredits(required)}, Available: ${formatCredits(available)}`;
      const named = { requiredCredits: creditsFromMicro(required), availableCredits: creditsFromMicro(available), operation };
      const details = { ...named, required: named.requiredCredits, available: named.availableCredits };
      return new ApiError(402, rejection.code, message, { ...named, details });
    }
    case 'reservation_expired':
      return new ApiError(402, rejection.code, 'The reservation has run out');
    case 'reservation_not_found':
      return new ApiError(404, rejection.code, 'There is no such reservation');
    case 'operation_not_found': {
      const { app, operation } = rejection;
      return new ApiError(404, rejection.code, `The catalogue has no price for ${operation} of ${app}`, {
        details: { app, operation },
      });
    }
    case 'package_not_found':
      return new ApiError(404, rejection.code, 'There is no such package');
    case 'grant_not_found':
      return new ApiError(404, rejection.code, 'There is no such grant');
    case 'reservation_of_another_app':
      return new ApiError(403, 'forbidden', 'The reservation was made by another app, which alone may settle it');
    case 'reservation_already_resolved': {
      const { status, transaction, amount } = rejection.resolution;
      const resolution = { status, transactionId: wireId('txn', transaction), creditsUsed: creditsFromMicro(amount) };
      return new ApiError(409, rejection.code, `The reservation was ${status} before`, { details: { resolution } });
    }
    case 'transaction_not_found':
      return new ApiError(404, rejection.code, 'There is no such consumption in this account');
    case 'refund_exceeds_consumption': {
      const { requested, left } = rejection;
      const message = `More than is left of the consumption. Requested: ${formatCredits(requested)}, Left: ${formatCredits(left)}`;
      const details = { requestedCredits: creditsFromMicro(requested), refundableCredits: creditsFromMicro(left) };
      return new ApiError(422, rejection.code, message, { details });
    }
    case 'idempotency_conflict':
      return new ApiError(409, rejection.code, 'The idempotency key was used for another request');
    case 'limit_exceeded': {
      const isAmount = ['amount', 'balance', 'revocable', 'totalEarned', 'totalSpent'].includes(rejection.limit);
      const maximum = isAmount ? creditsFromMicro(micro(rejection.maximum)) : rejection.maximum;
      return new ApiError(422, rejection.code, `${rejection.limit} may not exceed ${maximum}`, {
        details: { limit: rejection.limit, maximum },
      });
    }
    // A batch tells each of its commands by itself; see batch-routes.ts.
    case 'batch_refused':
      return errorOfRejection(rejection.rejection);
    case 'invalid':
      return invalid([rejection]);
    default:
      return rejection satisfies never;
  }
}

/** Any error as what a caller is told. What isn't known is a fault of ours, and nothing of it is shown. */
function apiErrorOf(error: FastifyError | Error): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof OverloadedError) return new ApiError(503, 'overloaded', 'Too much at once: try again shortly', {}, 1);
  if (error instanceof StoreUnavailableError || error instanceof UnreadableEventError || error instanceof ClockSkewError) {
    return new ApiError(503, 'store_unavailable', 'The ledger cannot answer now: the same key is safe to try again', {}, 2);
  }
  if (error instanceof AuthUnavailableError) {
    return new ApiError(503, 'auth_unavailable', 'Nobody can tell now whether the token is good: try again shortly', {}, 5);
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const root = error.validationContext ?? 'body';
    return invalid(
      error.validation.map(({ instancePath, message }) => ({ path: pathOf(instancePath, root), message: message ?? 'is wrong' })),
    );
  }
  const { code, statusCode } = error as FastifyError;
  const known =
    FRAMEWORK_ERRORS[code] ??
    (error instanceof SyntaxError ? ([400, 'malformed_json', 'The body is not JSON'] as const) : undefined);
  if (known !== undefined) return new ApiError(...known);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new ApiError(statusCode, 'bad_request', error.message);
  return new ApiError(500, 'internal_error', 'Something went wrong on our side');
}

/** https://fastify.dev/docs/latest/Reference/Errors/ */
const FRAMEWORK_ERRORS: { readonly [code: string]: readonly [number, string, string] } = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [415, 'unsupported_media_type', 'The body must be application/json'],
  FST_ERR_CTP_BODY_TOO_LARGE: [413, 'payload_too_large', 'The body is too large'],
  FST_ERR_CTP_EMPTY_JSON_BODY: [400, 'malformed_json', 'The body is empty'],
  FST_ERR_CTP_INVALID_JSON_BODY: [400, 'malformed_json', 'The body is not JSON'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [400, 'malformed_json', 'The body does not have the announced length'],
};

function pathOf(instancePath: string, root: string): string {
  const path = instancePath.replace(/^\//, '').replaceAll('/', '.');
  return path === '' ? root : path;
}

/** What an error looks like to a caller. */
export function errorAnswer(error: Error, requestId: string) {
  const { statusCode, code, message, more } = apiErrorOf(error);
  return { statusCode, error: code, message, ...more, requestId };
}

/** Answers with an error. Faults of ours are logged whole; nothing of them leaves. */
export function replyWithError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const { statusCode, code, message, more, retryAfter } = apiErrorOf(error);
  if (statusCode >= 500) request.log.error({ err: error, statusCode, reqId: request.id }, 'request failed');
  if (retryAfter !== undefined) void reply.header('retry-after', retryAfter);
  return reply.status(statusCode).send({ statusCode, error: code, message, ...more, requestId: request.id });
}
