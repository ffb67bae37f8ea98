import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AccountCommand, Accounts } from '../commands/account-decider.ts';
import type { Account } from '../commands/account.ts';
import type { CatalogueCommand, CatalogueCommands, CatalogueOutcome } from '../commands/catalogue-decider.ts';
import type { Outcome } from '../commands/write-path/envelope.ts';
import { type AccountEvent, accountStream } from '../events/account-events.ts';
import { CATALOGUE_STREAM } from '../events/catalogue-events.ts';
import { keyClaim } from '../events/claims.ts';
import type { Json } from '../events/canonical.ts';
import type { LedgerEvent } from '../events/event-types.ts';
import { NO_STREAM } from '../events/store.ts';
import type { Caller } from './access.ts';
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

/** Under which key a command runs, and the body as supplied that came with it, without the key. */
export type Key = {
  readonly value: string;
  readonly rest: Json;
  /** Whether it was made here, since the caller named none. */
  readonly isOwn: boolean;
};

/** Runs a command on a user's account in a caller's name, under one of their keys. */
export function execute(
  accounts: Accounts,
  { caller, correlationId, bytes = 0 }: Who,
  { userId, command }: { readonly userId: string; readonly command: AccountCommand },
  { value, rest, isOwn }: Key,
): Promise<Outcome<Account, AccountEvent>> {
  return accounts.execute({
    stream: accountStream(userId),
    command,
    actor: caller.actor,
    // The same key on another account is another key; the body as supplied tells a repeat from a mix-up.
    key: { value, isOwn, claim: keyClaim(caller.name, value), request: { type: command.type, body: rest } },
    commandId: randomUUID(),
    correlationId,
    causationId: null,
    bytes,
  });
}

/**
 * Runs a command on a user's account for a request: under its idempotency key, by its caller. Sets what every answer to
 * a command carries. Throws what the caller is to be told where the command was refused.
 */
export async function runCommand(
  accounts: Accounts,
  exchange: Exchange,
  userId: string,
  command: AccountCommand,
  key = keyOf(exchange.request),
): Promise<Answered> {
  return runForRequest(exchange, accountStream(userId), (who) => execute(accounts, who, { userId, command }, key), key);
}

/**
 * Runs a command of the catalogue, as `runCommand` does one of an account. What it changes stands in the path, so that
 * the path, too, tells a repeat from a mix-up.
 */
export async function runCatalogueCommand(
  commands: CatalogueCommands,
  exchange: Exchange,
  command: CatalogueCommand,
): Promise<Exclude<CatalogueOutcome, { kind: 'rejected' }>> {
  const params = exchange.request.params as { readonly [name: string]: string };
  return runForRequest(exchange, CATALOGUE_STREAM, ({ caller, correlationId }, { value, rest, isOwn }) =>
    commands.execute({
      stream: CATALOGUE_STREAM,
      command,
      actor: caller.actor,
      key: { value, isOwn, claim: keyClaim(caller.name, value), request: { type: command.type, body: { body: rest, params } } },
      commandId: randomUUID(),
      correlationId,
      causationId: null,
    }),
  );
}

type Exchange = { readonly request: FastifyRequest; readonly reply: FastifyReply };
/** In whose name, in which request, and how many bytes it keeps in memory while it waits. */
type Who = { readonly caller: Caller; readonly correlationId: string; readonly bytes?: number };

async function runForRequest<State, Event extends LedgerEvent>(
  { request, reply }: Exchange,
  stream: string,
  run: (who: Who, key: Key) => Promise<Outcome<State, Event>>,
  key = keyOf(request),
): Promise<Exclude<Outcome<State, Event>, { kind: 'rejected' }>> {
  const { caller } = request;
  if (caller === null) throw new ApiError(401, 'unauthorized', 'It is not known who calls');
  sayKey(reply, key);
  const bytes = Number(request.headers['content-length'] ?? 0);
  const outcome = await run({ caller, correlationId: request.id, bytes }, key);
  if (outcome.kind === 'rejected') throw errorOfRejection(outcome.rejection);
  const revision = revisionOf(outcome);
  // Where a stream has no events there is nothing to wait for.
  void reply.header('x-ledger-revision', revisionToken(revision === NO_STREAM ? [] : [[stream, revision]]));
  if (outcome.kind === 'accepted' && outcome.replayed) void reply.header('idempotency-replayed', 'true');
  return outcome;
}

/** Says under which key a command ran, where a header can hold it. */
export function sayKey(reply: FastifyReply, { value }: Key): void {
  if (HEADER_TEXT.test(value)) void reply.header('idempotency-key', value);
}

/** The revision up to which an answer speaks. */
export function revisionOf<State, Event extends LedgerEvent>(
  outcome: Exclude<Outcome<State, Event>, { kind: 'rejected' }>,
): number {
  return outcome.kind === 'accepted' ? outcome.event.revision : outcome.revision;
}

/** The key from header or body, made where there is none; and the body without it. */
export function keyOf(request: FastifyRequest): Key {
  const { idempotencyKey, ...rest } = (request.supplied ?? {}) as { [key: string]: Json };
  const inBody = idempotencyKey ?? undefined;
  const inHeader = request.headers['idempotency-key'];
  if (inHeader !== undefined && inBody !== undefined && inHeader !== inBody) {
    throw invalid([{ path: 'idempotencyKey', message: 'differs from the header Idempotency-Key' }]);
  }
  const given = inHeader ?? inBody;
  if (given === undefined) return { value: randomUUID(), rest, isOwn: true };
  const parsed = idempotencyKeySchema.safeParse(given);
  if (!parsed.success) throw invalid([{ path: 'idempotencyKey', message: parsed.error.issues[0]?.message ?? 'is wrong' }]);
  return { value: parsed.data, rest, isOwn: false };
}
