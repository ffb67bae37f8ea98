import type { FastifyReply, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import type { AccountCommand } from '../../commands/account-decider.ts';
import { type Caller, needScope, type Scope } from '../access.ts';
import { ApiError } from '../errors.ts';
import type { ApiParts } from '../parts.ts';
import { type Answered, keyOf, runCommand } from '../run-command.ts';

/**
 * Something that a service or a user does with an account: what it takes, what command it becomes, and how the outcome
 * is told. Routes run one at a time, /batch many.
 */
export type Action<Body> = {
  readonly body: z.ZodType<Body>;
  /** What a service's key must be allowed. */
  readonly scope: (body: Body) => Scope;
  /** The command. Rejects with what the caller is told where an operation is unknown. */
  readonly prepare: (parts: ApiParts, caller: Caller, body: Body, own: Own) => Promise<Prepared>;
  readonly answer: (parts: ApiParts, userId: string, outcome: Answered) => AnswerBody | Promise<AnswerBody>;
};

/**
 * What names a command among all of its caller's, the same whenever it is repeated: its idempotency key; in an atomic
 * batch the key of the whole, and its place.
 */
export type Own = readonly [key: string] | readonly [key: string, place: number];

/** An answer's body. */
export type AnswerBody = { readonly [member: string]: unknown };

/** A command and whose account it is for. */
export type Prepared = { readonly userId: string; readonly command: AccountCommand };

/** Runs an action for a request of its own. Throws what the caller is told. */
export async function runAction<Body, Answer extends AnswerBody>(
  parts: ApiParts,
  exchange: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  action: Omit<Action<Body>, 'answer'> & {
    readonly answer: (parts: ApiParts, userId: string, outcome: Answered) => Answer | Promise<Answer>;
  },
  body: Body,
): Promise<Answer> {
  const { caller } = exchange.request;
  if (caller === null) throw new ApiError(401, 'unauthorized', 'It is not known who calls');
  // Users act on their own account, for which they need no scope.
  if (caller.role === null) needScope(exchange.request, action.scope(body));
  const key = keyOf(exchange.request);
  const { userId, command } = await action.prepare(parts, caller, body, [key.value]);
  return action.answer(parts, userId, await runCommand(parts.accounts, exchange, userId, command, key));
}
