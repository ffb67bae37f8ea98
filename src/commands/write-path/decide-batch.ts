import { randomUUID } from 'node:crypto';
import { seal } from '../../events/chain.ts';
import { type LedgerEvent, type Recorded, schemaVersion } from '../../events/event-types.ts';
import { type Actor, appOf, type Metadata } from '../../events/metadata.ts';
import type { RequestHashes } from '../../events/request-hash.ts';
import type { NewEvent } from '../../events/store.ts';
import type { Decided, Decider } from '../decider.ts';
import type { Rejection } from '../rejection.ts';
import { ClockSkewError, type Envelope, type Outcome } from './envelope.ts';
import type { KnownFacts } from './known-facts.ts';
import { advance, type StreamState } from './stream-state.ts';

/** The text of one event at the most, and of a batch: a store takes no larger group. In bytes. */
export const MAX_EVENT_BYTES = 256 * 1024;
export const MAX_BATCH_BYTES = 512 * 1024;

/** How far ahead of the clock a stream's head may lie, in ms. */
const MAX_SKEW = 5_000;

/** What a batch would write, and the answers that may leave once it is durable. */
export type DecidedBatch<State, Event extends LedgerEvent> = {
  readonly events: readonly NewEvent[];
  /** The keys among the events' claims that this process made up. */
  readonly fresh: readonly string[];
  /** The keys of commands that wrote nothing: if one was used before, its answer is another. */
  readonly unclaimed: readonly string[];
  readonly bytes: number;
  readonly end: StreamState<State>;
  /** One for each command that was decided, in order. Fewer than were given where the rest has to wait. */
  readonly outcomes: readonly Outcome<State, Event>[];
};

type Deciding = { readonly hashes: RequestHashes; readonly now: number };

/**
 * Decides commands one after the other on a stream's state, in memory. What time has done to the stream comes first,
 * as an event of its own. Writes nothing: the outcomes hold once the events are appended behind the state's revision.
 */
export function decideBatch<State, Command, Event extends LedgerEvent>(
  decider: Decider<State, Command, Event>,
  start: StreamState<State>,
  known: KnownFacts<Event>,
  envelopes: readonly Envelope<Command>[],
  { hashes, now }: Deciding,
): DecidedBatch<State, Event> {
  const stream = envelopes[0]?.stream ?? '';
  if (start.at > now + MAX_SKEW) throw new ClockSkewError(`the head of ${stream} lies ${start.at - now} ms ahead of the clock`);
  const at = Math.max(now, start.at);
  const time = new Date(at).toISOString();
  const facts = known.fork();
  const events: NewEvent[] = [];
  const outcomes: Outcome<State, Event>[] = [];
  const unclaimed: string[] = [];
  const fresh: string[] = [];
  let current = start;
  let bytes = 0;

  const expired = decider.expire(start.state, at);
  if (expired !== undefined) take(writeEvents(decider, current, [expired], systemNote('expiry'), { stream, at: time }));

  for (const envelope of envelopes) {
    const outcome = answerOfKey<State, Event>(envelope, facts, hashes) ?? decideOne(envelope);
    if (outcome === undefined) break;
    outcomes.push(outcome);
    const { key } = envelope;
    if (key === null) continue;
    if (key.isOwn === true) fresh.push(key.claim);
    else if (facts.claimed(key.claim) === undefined) unclaimed.push(key.claim);
  }
  return { events, fresh, unclaimed, bytes, end: current, outcomes };

  function take(written: Written<State, Event>): void {
    events.push(...written.events);
    for (const event of written.recorded) facts.note(event);
    current = written.end;
    bytes += written.bytes;
  }

  /** Undefined where it has to wait for the next batch: no room is left, or this batch settled what it names. */
  function decideOne(envelope: Envelope<Command>): Outcome<State, Event> | undefined {
    if (facts.unread(decider.missingFacts(envelope.command, current.state, facts)).length > 0) return undefined;
    const { actor, command } = envelope;
    const context = { now: at, stream, actor, app: appOf(actor), revision: current.revision + 1 };
    const decision = decider.decide(command, current.state, facts, context);
    switch (decision.kind) {
      case 'reject':
        if (decision.unless !== undefined) unclaimed.push(...decision.unless);
        return { kind: 'rejected', rejection: decision.rejection };
      case 'repeat':
        return { kind: 'accepted', event: decision.event, replayed: true };
      case 'unchanged':
        return { kind: 'unchanged', state: current.state, revision: current.revision, event: decision.event };
      case 'append': {
        const written = writeEvents(decider, current, decision.events, noteOf(envelope, hashes), { stream, at: time });
        if (written.largest > MAX_EVENT_BYTES) return tooLarge('eventBytes', MAX_EVENT_BYTES);
        if (written.bytes > MAX_BATCH_BYTES) return tooLarge('batchBytes', MAX_BATCH_BYTES);
        if (events.length > 0 && bytes + written.bytes > MAX_BATCH_BYTES) return undefined;
        take(written);
        const answer = written.recorded.at(-1);
        if (answer === undefined) throw new Error('a decision to append without an event');
        return { kind: 'accepted', event: answer, replayed: false };
      }
      default:
        return decision satisfies never;
    }
  }
}

function tooLarge(limit: string, maximum: number): { kind: 'rejected'; rejection: Rejection } {
  return { kind: 'rejected', rejection: { code: 'limit_exceeded', limit, maximum } };
}

/** The answer to a key that was used before; undefined where it wasn't. */
function answerOfKey<State, Event extends LedgerEvent>(
  { key, commandId }: Envelope<unknown>,
  facts: KnownFacts<Event>,
  hashes: RequestHashes,
): Outcome<State, Event> | undefined {
  const event = key === null ? undefined : facts.claimed(key.claim);
  if (key === null || event === undefined) return undefined;
  // This very call wrote it, and the answer was lost on the way.
  if (event.metadata.commandId === commandId) return { kind: 'accepted', event, replayed: false };
  return hashes.matches(event.metadata.requestHash, key.request)
    ? { kind: 'accepted', event, replayed: true }
    : { kind: 'rejected', rejection: { code: 'idempotency_conflict' } };
}

/** What is noted beside all events of one command. */
type Note = Pick<Metadata, 'actor' | 'causationId' | 'commandId' | 'correlationId' | 'idempotencyKey' | 'requestHash'> & {
  readonly claims: readonly string[];
};

function noteOf(envelope: Envelope<unknown>, hashes: RequestHashes): Note {
  const { actor, causationId, commandId, correlationId, key } = envelope;
  return {
    actor,
    causationId,
    commandId,
    correlationId,
    idempotencyKey: key?.value ?? null,
    requestHash: key === null ? null : hashes.of(key.request),
    claims: key === null ? [] : [key.claim],
  };
}

function systemNote(name: string): Note {
  const actor: Actor = { kind: 'system', name };
  const commandId = randomUUID();
  return { actor, causationId: null, commandId, correlationId: commandId, idempotencyKey: null, requestHash: null, claims: [] };
}

type Written<State, Event extends LedgerEvent> = {
  readonly events: readonly NewEvent[];
  readonly recorded: readonly Recorded<Event>[];
  readonly end: StreamState<State>;
  readonly bytes: number;
  readonly largest: number;
};

const NOTHING: readonly never[] = [];

/** Seals a command's events behind a state. Each makes its own claims, the last one the command's key as well. */
function writeEvents<State, Event extends LedgerEvent>(
  decider: Pick<Decider<State, never, Event>, 'evolve'>,
  start: StreamState<State>,
  decided: readonly Decided<Event>[],
  note: Note,
  { stream, at }: { stream: string; at: string },
): Written<State, Event> {
  let end = start;
  let bytes = 0;
  let largest = 0;
  const events: NewEvent[] = [];
  const recorded: Recorded<Event>[] = [];
  for (const [index, { type, data, about = NOTHING, claims = NOTHING }] of decided.entries()) {
    // In canonical order already, which spares sorting.
    const metadata: Metadata = {
      about: about as number[],
      actor: note.actor,
      at,
      causationId: note.causationId,
      claims: (index < decided.length - 1 ? claims : claims.length === 0 ? note.claims : [...note.claims, ...claims]) as string[],
      commandId: note.commandId,
      correlationId: note.correlationId,
      idempotencyKey: note.idempotencyKey,
      prevHash: end.hash,
      requestHash: note.requestHash,
      schema: schemaVersion(type),
    };
    const revision = end.revision + 1;
    const sealed = seal({ stream, revision, type, data, metadata });
    const { id, hash } = sealed;
    const record = { stream, revision, id, hash, type, data, metadata } as unknown as Recorded<Event>;
    const size = Buffer.byteLength(sealed.data) + Buffer.byteLength(sealed.metadata);
    events.push({
      stream,
      revision,
      type,
      data: sealed.data,
      metadata: sealed.metadata,
      hash,
      id,
      claims: metadata.claims,
      about,
    });
    recorded.push(record);
    end = advance(decider, end, record);
    bytes += size;
    largest = Math.max(largest, size);
  }
  return { events, recorded, end, bytes, largest };
}
