import { once } from 'node:events';
import streamsPb, { type ReadReq } from '@eventstore/db-client/generated/streams_pb.js';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { admitRead } from './admission.ts';
import type { KurrentNode } from './node.ts';
import { allBackwards, allForwards, cursorAt, type EventFilter, filterBy, START, streamPage } from './pages.ts';
import type { LoggedEvent } from './records.ts';
import { subscribe } from './subscription.ts';
import { type CallError, handlerFailed, streamDeleted, unexpectedResult } from './wire-errors.ts';
import { eventAnswer, nameOf, type Position, type ReadAnswer, streamNotFound } from './wire-events.ts';

/* Read: a number of events of a stream or of `$all`, forwards or backwards; or a subscription, which never ends. */

export type ReadCall = ServerWritableStream<ReadReq, ReadAnswer>;

export function read(node: KurrentNode, call: ReadCall): void {
  call.on('error', () => {});
  node.faults.whenThawed(() => {
    const options = call.request.getOptions();
    if (options === undefined) return void call.emit('error', handlerFailed());
    const stream = options.hasAll() ? '$all' : nameOf(options.getStream()?.getStreamIdentifier());
    if (stream === '') return void call.emit('error', handlerFailed());
    const filter = filterOf(options);
    if (filter === 'invalid') return void call.emit('error', handlerFailed());
    if (options.hasSubscription()) {
      return admitRead(node, call, 'subscribe', stream, (cutAfter) => subscribe(node, call, options, stream, filter, cutAfter));
    }
    return admitRead(node, call, 'read', stream, (cutAfter) => {
      const events = options.hasAll() ? eventsOfAll(node, options, filter) : eventsOfStream(node, options, stream);
      if (events === 'for ever') return;
      if (Buffer.isBuffer(events)) finishWith(call, events);
      else if ('code' in events) call.emit('error', events);
      else void send(node, call, events, BigInt(options.getCount()), cutAfter);
    });
  });
}

/** The end of a gRPC call takes no last message. */
function finishWith(call: ReadCall, answer: ReadAnswer): void {
  call.write(answer);
  call.end();
}

function filterOf(options: ReadReq.Options): EventFilter | undefined | 'invalid' {
  try {
    return filterBy(options);
  } catch {
    return 'invalid';
  }
}

const BACKWARDS = streamsPb.ReadReq.Options.ReadDirection.BACKWARDS;

function eventsOfStream(
  node: KurrentNode,
  options: ReadReq.Options,
  stream: string,
): Iterable<LoggedEvent> | CallError | ReadAnswer {
  const asked = options.getStream();
  const backwards = options.getReadDirection() === BACKWARDS;
  if (asked === undefined) return handlerFailed();
  if (options.getCount() === '0' || (asked.hasEnd() && !backwards)) return unexpectedResult('ReadStreamResult');
  const page = streamPage(node, stream, 0);
  if (page.kind === 'tombstoned') return streamDeleted(stream);
  if (page.kind === 'missing') return streamNotFound(stream);
  const revision = asked.hasEnd() ? Number.POSITIVE_INFINITY : asked.hasStart() ? 0 : Number(asked.getRevision());
  return backwards ? streamBackwards(node, stream, revision) : streamForwards(node, stream, revision);
}

function* streamForwards(node: KurrentNode, stream: string, from: number): Generator<LoggedEvent> {
  for (let next = from; ; ) {
    const page = streamPage(node, stream, next);
    if (page.kind !== 'events') return;
    yield* page.events;
    if (page.end) return;
    next = page.next;
  }
}

function* streamBackwards(node: KurrentNode, stream: string, from: number): Generator<LoggedEvent> {
  const standing = node.log.standing(stream);
  const all = node.log.stream(stream);
  const { limit } = node.view;
  for (let revision = Math.min(from, all.length - 1); typeof standing === 'object' && revision >= standing.from; revision--) {
    const event = all[revision];
    if (event !== undefined && event.index < limit) yield event;
  }
}

function eventsOfAll(
  node: KurrentNode,
  options: ReadReq.Options,
  filter: EventFilter | undefined,
): Iterable<LoggedEvent> | CallError | 'for ever' {
  const position = positionBy(options);
  const backwards = options.getReadDirection() === BACKWARDS;
  if (position === 'invalid') return handlerFailed();
  // The server turns in a circle here: a page of no events is never the last.
  if (options.getCount() === '0') return 'for ever';
  if (position === 'end') return backwards ? allBackwards(node, 'end', filter) : [];
  if (position === 'start') return backwards ? [] : allForwards(node, START, filter);
  const cursor = cursorAt(node, position);
  if (cursor === undefined || (backwards && position.commit > node.log.end)) return unexpectedResult('ReadAllResult');
  return backwards ? allBackwards(node, position, filter) : allForwards(node, cursor, filter);
}

/** Where a reader of `$all` wants to begin. What is prepared after it was committed is no position. */
export function positionBy(options: ReadReq.Options): Position | 'start' | 'end' | 'invalid' {
  const asked = options.getAll();
  if (asked?.hasStart() === true) return 'start';
  if (asked?.hasEnd() === true) return 'end';
  const position = asked?.getPosition();
  if (position === undefined) return 'invalid';
  const [commit, prepare] = [BigInt(position.getCommitPosition()), BigInt(position.getPreparePosition())];
  return prepare > commit ? 'invalid' : { commit, prepare };
}

/** Sends no faster than the reader takes. */
async function send(
  node: KurrentNode,
  call: ReadCall,
  events: Iterable<LoggedEvent>,
  count: bigint,
  cutAfter: number,
): Promise<void> {
  const gone = new AbortController();
  call.on('cancelled', () => gone.abort());
  let sent = 0;
  for (const event of events) {
    if (BigInt(sent) >= count || gone.signal.aborted) break;
    sent += 1;
    if (sent >= cutAfter) return void call.write(eventAnswer(event), () => node.sockets.drop(call.getPeer()));
    if (!call.write(eventAnswer(event))) await once(call, 'drain', { signal: gone.signal }).catch(() => undefined);
  }
  return void call.end();
}
