import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AccountCommand, Accounts } from '../commands/account-decider.ts';
import type { Account } from '../commands/account.ts';
import type { Outcome } from '../commands/write-path/envelope.ts';
import { type AccountEvent, accountStream } from '../events/account-events.ts';
import { keyClaim } from '../events/claims.ts';
import type { Json } from '../events/canonical.ts';
import { ApiError, errorOfRejection, invalid } from './errors.ts';
import { revisionToken } from './revisions.ts';
import { idempotencyKeySchema } from './schemas.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as it was supplied, before it was checked and shaped. */
    supplied: unknown;
  }
}

/** What a header can carry: a key of the body's may hold more. */
const HEADER_TEXT = /^[\x20-\x7e]+$/;

/** An answer that is no refusal. */
export type Answered = Exclude<Outcome<Account, AccountEvent>, { kind: 'rejected' }>;

/**
 * Runs a command on a user's account for a request: under its idempotency key, by its caller. Sets what every answer to
 * a command carries. Throws what the caller is to be told where the command was refused.
 */
export async function runCommand(
  accounts: Accounts,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  userId: string,
  command: AccountCommand,
): Promise<Answered> {
  const { caller } = request;
  if (caller === null) throw new ApiError(401, 'unauthorized', 'It is not known who calls');
  const stream = accountStream(userId);
  const { value, rest } = keyOf(request);
  if (HEADER_TEXT.test(value)) void reply.header('idempotency-key', value);
  const outcome = await accounts.execute({
    stream,
    command,
    actor: caller.actor,
    // The same key on another account is another key; the body as supplied tells a repeat from a mix-up.
    key: { value, claim: keyClaim(caller.name, value), request: { type: command.type, body: rest } },
    commandId: randomUUID(),
    correlationId: request.id,
    causationId: null,
  });
  if (outcome.kind === 'rejected') throw errorOfRejection(outcome.rejection);
  const revision = outcome.kind === 'accepted' ? outcome.event.revision : outcome.revision;
  void reply.header('x-ledger-revision', revisionToken([[stream, revision]]));
  if (outcome.kind === 'accepted' && outcome.replayed) void reply.header('idempotency-replayed', 'true');
  return outcome;
}

/** The key from header or body, made where there is none; and the body without it. */
function keyOf(request: FastifyRequest): { value: string; rest: Json } {
  const { idempotencyKey, ...rest } = (request.supplied ?? {}) as { [key: string]: Json };
  const inBody = idempotencyKey ?? undefined;
  const inHeader = request.headers['idempotency-key'];
  if (inHeader !== undefined && inBody !== undefined && inHeader !== inBody) {
    throw invalid([{ path: 'idempotencyKey', message: 'differs from the header Idempotency-Key' }]);
  }
  const given = inHeader ?? inBody;
  if (given === undefined) return { value: randomUUID(), rest };
  const parsed = idempotencyKeySchema.safeParse(given);
  if (!parsed.success) throw invalid([{ path: 'idempotencyKey', message: parsed.error.issues[0]?.message ?? 'is wrong' }]);
  return { value: parsed.data, rest };
}
