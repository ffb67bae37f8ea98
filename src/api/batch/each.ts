import { randomUUID } from 'node:crypto';
import { accountStream } from '../../events/account-events.ts';
import { canonicalJson, sha256Base64 } from '../../events/canonical.ts';
import type { Caller } from '../access.ts';
import type { AnswerBody } from '../actions/action.ts';
import { errorAnswer, errorOfRejection } from '../errors.ts';
import type { ApiParts } from '../parts.ts';
import { revisionToken } from '../revisions.ts';
import { execute, type Key, revisionOf } from '../run-command.ts';
import { idempotencyKeySchema } from '../schemas.ts';
import { type Item, prepareItem, type Ready, restOf } from './items.ts';

/** What became of one command of a batch: what its own route would have answered. */
export type Result = {
  readonly status: number;
  readonly body: AnswerBody;
  /** The token of what it wrote, as X-Ledger-Revision. */
  readonly revision?: string;
  readonly idempotencyKey?: string;
  readonly idempotencyReplayed?: true;
};

type Calling = { readonly caller: Caller; readonly correlationId: string; readonly bytes: number };

/**
 * Runs commands each by itself, those of one account in their order. What names no key runs under the request's and its
 * place, so that a repeated request is done once. Never rejects: each has its own answer.
 */
export async function runEach(
  parts: ApiParts,
  calling: Calling,
  ofRequest: Key,
  items: readonly Item[],
): Promise<readonly Result[]> {
  const request = ofRequest.isOwn ? undefined : { key: ofRequest.value, digest: sha256Base64(canonicalJson(ofRequest.rest)) };
  const keyed = items.map((item, index) => ({ item, key: keyOfItem(item, index, request) }));
  const prepared = await Promise.all(
    keyed.map(({ item, key }, index) =>
      prepareItem(parts, calling.caller, item, `commands.${index}`, [key.value])
        .then((ready) => ({ ready, key }))
        .catch((error: unknown) => failed(error, calling)),
    ),
  );
  // The request stands in memory once, so the first command that runs answers for its bytes.
  const others = { ...calling, bytes: 0 };
  const first = prepared.findIndex((one) => !('status' in one));
  // Handed over in order and all at once, so that an account's commands stand in its mailbox as they stand here.
  return Promise.all(
    prepared.map(async (one, index) =>
      'status' in one ? one : runOne(parts, index === first ? calling : others, one.ready, one.key),
    ),
  );
}

function keyOfItem(item: Item, index: number, request: { readonly key: string; readonly digest: string } | undefined): Key {
  const command = restOf(item);
  const given = idempotencyKeySchema.safeParse(item['idempotencyKey']).data;
  if (given !== undefined) return { value: given, rest: command, isOwn: false };
  if (request === undefined) return { value: randomUUID(), rest: command, isOwn: true };
  // The same key with another request is a mix-up, and not only where this command is another.
  return { value: `${request.key}:${index}`, rest: { command, request: request.digest }, isOwn: false };
}

async function runOne(parts: ApiParts, calling: Calling, ready: Ready, key: Key): Promise<Result> {
  const { userId, answer } = ready;
  const { value } = key;
  try {
    const outcome = await execute(parts.accounts, calling, ready, key);
    if (outcome.kind === 'rejected') throw errorOfRejection(outcome.rejection);
    const body = await answer(parts, userId, outcome);
    const revision = revisionToken([[accountStream(userId), revisionOf(outcome)]]);
    const isReplay = outcome.kind === 'accepted' && outcome.replayed;
    return { status: 200, body, revision, idempotencyKey: value, ...(isReplay && { idempotencyReplayed: true }) };
  } catch (error) {
    return { ...failed(error, calling), idempotencyKey: value };
  }
}

function failed(error: unknown, { correlationId }: Pick<Calling, 'correlationId'>): Result {
  const body = errorAnswer(error instanceof Error ? error : new Error('a command failed', { cause: error }), correlationId);
  return { status: body.statusCode, body };
}
