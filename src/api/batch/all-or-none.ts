import type { FastifyReply, FastifyRequest } from 'fastify';
import { randomUUID } from 'node:crypto';
import { type Atomic, MAX_ATOMIC } from '../../commands/atomic.ts';
import { type AccountEvent, accountStream } from '../../events/account-events.ts';
import { isAccountEvent, readEvent, type Recorded } from '../../events/event-types.ts';
import type { Caller } from '../access.ts';
import { ApiError, errorAnswer, errorOfRejection, invalid } from '../errors.ts';
import { type ApiParts, reading } from '../parts.ts';
import { revisionToken } from '../revisions.ts';
import { type Answered, execute, keyOf, revisionOf, sayKey } from '../run-command.ts';
import type { Result } from './each.ts';
import { type Item, prepareItem, type Ready } from './items.ts';

type Command = Atomic['commands'][number];

/** Opening an account and what then is done: no command writes more events. */
const EVENTS_OF_ONE = 2;

/**
 * Runs commands of one account together: all of them, or none, under the one key of the request. After a refusal the
 * others are told `batch_aborted`. Throws what the caller is told where the request as a whole is wrong.
 */
export async function runAtomic(
  parts: ApiParts,
  { request, reply, caller }: { readonly request: FastifyRequest; readonly reply: FastifyReply; readonly caller: Caller },
  items: readonly Item[],
): Promise<readonly Result[]> {
  if (items.length > MAX_ATOMIC) throw wrong('commands', `must be at most ${MAX_ATOMIC} where they are atomic`);
  const keyed = items.findIndex((item) => item['idempotencyKey'] !== undefined && item['idempotencyKey'] !== null);
  if (keyed !== -1) throw wrong(`commands.${keyed}.idempotencyKey`, 'an atomic batch has one key, for the whole');
  const key = keyOf(request);
  const ready = await Promise.all(
    items.map((item, index) => prepareItem(parts, caller, item, `commands.${index}`, [key.value, index])),
  );
  const [first] = ready;
  if (first === undefined) throw wrong('commands', 'must not be empty');
  const stranger = ready.findIndex(({ userId }) => userId !== first.userId);
  if (stranger !== -1) throw wrong(`commands.${stranger}`, 'an atomic batch is about one account');
  const commands = ready.map(({ command }) => command as Command);
  checkNamedOnce(commands);

  const { userId } = first;
  const calling = { caller, correlationId: request.id, bytes: Number(request.headers['content-length'] ?? 0) };
  sayKey(reply, key);
  const outcome = await execute(parts.accounts, calling, { userId, command: { type: 'Atomic', commands } }, key);
  if (outcome.kind === 'rejected') {
    const { rejection } = outcome;
    if (rejection.code !== 'batch_refused') throw errorOfRejection(rejection);
    const refused = errorOfRejection(rejection.rejection);
    const aborted = new ApiError(409, 'batch_aborted', `Nothing was done: command ${rejection.index} of the batch was refused`);
    return ready.map((_, index) => failed(index === rejection.index ? refused : aborted, request.id));
  }
  void reply.header('x-ledger-revision', revisionToken([[accountStream(userId), revisionOf(outcome)]]));
  const replayed = outcome.kind === 'accepted' && outcome.replayed;
  if (replayed) void reply.header('idempotency-replayed', 'true');
  const log = outcome.kind === 'accepted' ? await eventsOfBatch(parts, outcome.event, ready.length) : undefined;
  return answers(parts, calling, ready, log, replayed);
}

/** What one command of the batch changes of an earlier event, another would not know. */
function checkNamedOnce(commands: readonly Command[]): void {
  const named = new Set<string>();
  for (const [index, command] of commands.entries()) {
    const name = nameOf(command);
    if (name !== undefined && named.has(name)) throw wrong(`commands.${index}`, 'names what another command of the batch names');
    if (name !== undefined) named.add(name);
  }
}

function nameOf(command: Command): string | undefined {
  if ('reservation' in command) return `reservation ${command.reservation}`;
  if ('consumption' in command) return `consumption ${command.consumption}`;
  return command.type === 'GrantCredits' ? JSON.stringify([command.reason, command.reference]) : undefined;
}

/** What a batch wrote, in order, and the event of the account before it. */
type Written = { readonly events: readonly Recorded<AccountEvent>[]; readonly before: Recorded<AccountEvent> | undefined };

/** The events that a batch wrote, by its last one. */
async function eventsOfBatch({ store }: ApiParts, last: Recorded<AccountEvent>, commands: number): Promise<Written> {
  const limit = commands * EVENTS_OF_ONE + 1;
  const stored = await reading(() => store.readStream(last.stream, { from: last.revision, direction: 'backward', limit }));
  const events: Recorded<AccountEvent>[] = [];
  for (const event of stored.map(readEvent)) {
    if (!isAccountEvent(event)) break;
    if (event.metadata.commandId !== last.metadata.commandId) return { events, before: event };
    events.unshift(event);
  }
  return { events, before: undefined };
}

/** Each command's own answer: from the event it wrote, or where it had nothing to write, from what had done so before. */
async function answers(
  parts: ApiParts,
  calling: { readonly caller: Caller; readonly correlationId: string },
  ready: readonly Ready[],
  log: Written | undefined,
  replayed: boolean,
): Promise<readonly Result[]> {
  const left = [...(log?.events ?? [])];
  let last = log?.before;
  const results: Result[] = [];
  for (const { userId, command, answer } of ready) {
    if (left[0]?.type === 'AccountOpened') last = left.shift();
    const event = left[0];
    const isOwn = event !== undefined && isWrittenBy(event, command as Command);
    if (isOwn) last = left.shift();
    const outcome = isOwn
      ? ({ kind: 'accepted', event, replayed } as const)
      : asAfter(await before(parts, calling, userId, command), last);
    const revision = revisionToken([[accountStream(userId), revisionOf(outcome)]]);
    results.push({ status: 200, body: await answer(parts, userId, outcome), revision });
  }
  return results;
}

/** What changed nothing, told of the moment behind an event: a repeat is told the same, whatever was done since. */
function asAfter(outcome: Answered, last: Recorded<AccountEvent> | undefined): Answered {
  if (outcome.kind !== 'unchanged' || outcome.state.status === 'unopened' || last === undefined) return outcome;
  return { ...outcome, state: { ...outcome.state, balances: last.data.after }, revision: last.revision };
}

/** What had been done before, and is only said again: writes nothing. */
async function before(
  { accounts }: ApiParts,
  { caller, correlationId }: { readonly caller: Caller; readonly correlationId: string },
  userId: string,
  command: Ready['command'],
): Promise<Answered> {
  const outcome = await accounts.execute({
    stream: accountStream(userId),
    command,
    actor: caller.actor,
    key: null,
    commandId: randomUUID(),
    correlationId,
    causationId: null,
  });
  if (outcome.kind === 'rejected') throw errorOfRejection(outcome.rejection);
  return outcome;
}

/** Whether an event is what a command of the same batch wrote. */
function isWrittenBy(event: Recorded<AccountEvent>, command: Command): boolean {
  switch (command.type) {
    case 'UseCredits':
      return event.type === 'CreditsConsumed' && event.data.reservation === null;
    case 'ReserveCredits':
      return event.type === 'CreditsReserved';
    case 'CommitReservation':
      return event.type === 'CreditsConsumed' && event.data.reservation === command.reservation;
    case 'ReleaseReservation':
      return event.type === 'ReservationReleased' && event.data.reservation === command.reservation;
    case 'RefundConsumption':
      return event.type === 'CreditsRefunded' && event.data.consumption === command.consumption;
    case 'GrantCredits': {
      const { reason, reference } = command;
      return event.type === 'CreditsGranted' && event.data.reason === reason && event.data.reference === reference;
    }
    case 'OpenAccount':
    case 'DebitCredits':
    case 'FreezeGrant':
    case 'UnfreezeGrant':
    case 'RevokeGrant':
    case 'ExpireDue':
      throw new Error(`${command.type} is no command of a batch`);
    default:
      return command satisfies never;
  }
}

function failed(error: ApiError, requestId: string): Result {
  return { status: error.statusCode, body: errorAnswer(error, requestId) };
}

function wrong(path: string, message: string): ApiError {
  return invalid([{ path, message }]);
}
