import { randomUUID } from 'node:crypto';
import { accountStream } from '../../events/account-events.ts';
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

/** Runs commands each by itself, those of one account in their order. Never rejects: each has its own answer. */
export async function runEach(parts: ApiParts, calling: Calling, items: readonly Item[]): Promise<readonly Result[]> {
  const keyed = items.map((item) => ({ item, key: keyOfItem(item) }));
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

function keyOfItem(item: Item): Key {
  const given = idempotencyKeySchema.safeParse(item['idempotencyKey']).data;
  return { value: given ?? randomUUID(), rest: restOf(item), isOwn: given === undefined };
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
