import type { BatchAppendReq, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js';
import streamsPb from '@eventstore/db-client/generated/streams_pb.js';
import sharedPb from '@eventstore/db-client/generated/shared_pb.js';
import type { UUID } from '@eventstore/db-client/generated/shared_pb.js';
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { admitWrite, callerOf, type WriteResult } from './admission.ts';
import type { KurrentNode } from './node.ts';
import type { Expected, ProposedEvent } from './records.ts';
import {
  type BatchStatus,
  batchAccessDenied,
  batchBadRequest,
  batchBusy,
  batchConflict,
  batchNotReady,
  batchStreamDeleted,
  batchTimeout,
  batchTooLarge,
  handlerFailed,
  unauthenticated,
} from './wire-errors.ts';
import { appendSize, identifierOf, idOf, nameOf, proposalOf } from './wire-events.ts';

/*
 * BatchAppend: one call for all appends of a client, each in one or more messages under a correlation id of its own.
 *
 * An append whose message the server can't take is answered as a bad request, but stays among the pending ones: after the
 * server's write timeout it is answered once more, as timed out. The client has no use for a second answer, throws where
 * nobody catches it, and hangs from then on.
 */

/** How long the parts of an append may take to come, whatever its deadline says. */
const WRITE_TIMEOUT_MS = 2_000;
/** How much an append may hold, in bytes. */
export const APPEND_SIZE_MAX = 1024 * 1024;

type Pending = {
  readonly correlation: UUID;
  readonly stream: string;
  readonly expected: Expected;
  readonly events: ProposedEvent[];
  readonly timeout: number;
  size: number;
  timer?: NodeJS.Timeout;
};

type Call = ServerDuplexStream<BatchAppendReq, BatchAppendResp>;

export class BatchAppendCall {
  readonly #node: KurrentNode;
  readonly #call: Call;
  readonly #pending = new Map<string, Pending>();
  #unanswered = 0;
  #ending = false;

  constructor(node: KurrentNode, call: Call) {
    this.#node = node;
    this.#call = call;
    call.on('data', (request: BatchAppendReq) => node.faults.whenThawed(() => this.#receive(request)));
    call.on('end', () => node.faults.whenThawed(() => this.#end()));
    call.on('cancelled', () => this.#forget());
    // What the call is ended with comes back as an event.
    call.on('error', () => this.#forget());
    if (callerOf(node, call.metadata) === 'impostor') call.emit('error', unauthenticated());
  }

  #receive(request: BatchAppendReq): void {
    try {
      this.#take(request);
    } catch (error) {
      const stream = request.getOptions()?.getStreamIdentifier();
      // A part without options has no name to answer under, over which the real handler falls.
      if (!request.hasOptions()) {
        this.#call.emit('error', handlerFailed());
        return;
      }
      const bad = batchBadRequest(error instanceof Error ? error.message : String(error));
      this.#refuse(request.getCorrelationId(), nameOf(stream), bad);
      const left = this.#pending.get(request.getCorrelationId()?.getString().toLowerCase() ?? '');
      if (left !== undefined) this.#arm(left);
    }
  }

  #take(request: BatchAppendReq): void {
    const id = idOf(request.getCorrelationId());
    if (request.hasOptions() && !this.#open(request, id)) return;
    const append = this.#pending.get(id);
    if (append === undefined) return;
    for (const message of request.getProposedMessagesList()) {
      const event = proposalOf(message);
      append.events.push(event);
      append.size += appendSize(event);
    }
    if (append.size > APPEND_SIZE_MAX) {
      this.#close(id, append);
      this.#refuse(append.correlation, append.stream, batchTooLarge(APPEND_SIZE_MAX));
    } else if (request.getIsFinal()) {
      this.#close(id, append);
      this.#write(append);
    } else this.#arm(append);
  }

  /** Takes up an append by its first message. Says whether it goes on. */
  #open(request: BatchAppendReq, id: string): boolean {
    const options = request.getOptions();
    const correlation = request.getCorrelationId();
    if (options === undefined || correlation === undefined) return false;
    const stream = nameOf(options.getStreamIdentifier());
    const deadline = options.getDeadline()?.toDate().getTime() ?? Number.POSITIVE_INFINITY;
    const timeout = Math.min(deadline - Date.now(), WRITE_TIMEOUT_MS);
    if (callerOf(this.#node, this.#call.metadata) !== 'somebody') {
      this.#refuse(correlation, stream, batchAccessDenied());
      return false;
    }
    if (stream === '') throw new Error('Required field StreamIdentifier not set.');
    if (timeout <= 0) {
      this.#refuse(correlation, stream, batchTimeout());
      return false;
    }
    const expected = expectedBy(options);
    if (!this.#pending.has(id)) this.#pending.set(id, { correlation, stream, expected, events: [], timeout, size: 0 });
    return true;
  }

  #write(append: Pending): void {
    const { stream, expected, events } = append;
    if (stream === '$$') throw new Error('Specified argument was out of the range of valid values.');
    const write = () => this.#node.log.append(stream, expected, events);
    this.#unanswered += 1;
    admitWrite(this.#node, this.#call, 'append', stream, write, (result) => {
      this.#unanswered -= 1;
      this.#answer(append, result);
      if (this.#ending && this.#unanswered === 0) this.#call.end();
    });
  }

  #answer(append: Pending, result: WriteResult): void {
    if (result.kind === 'conflict') {
      return this.#refuse(append.correlation, append.stream, batchConflict(append.expected, result.current));
    }
    if (result.kind === 'deleted') return this.#refuse(append.correlation, append.stream, batchStreamDeleted(append.stream));
    if (result.kind === 'refused') return this.#turnAway(append, result);
    const success = new streamsPb.BatchAppendResp.Success();
    const position = new sharedPb.AllStreamPosition();
    position.setCommitPosition(String(result.position));
    position.setPreparePosition(String(result.position));
    success.setPosition(position);
    if (result.revision < 0n) success.setNoStream(new sharedPb.Empty());
    else success.setCurrentRevision(String(result.revision));
    const answer = this.#answerTo(append.correlation, append.stream);
    answer.setSuccess(success);
    return void this.#call.write(answer);
  }

  #turnAway(append: Pending, result: WriteResult & { kind: 'refused' }): void {
    // The address of the leader has no place in an answer: it ends the call, with every append that waits in it.
    if (result.reason === 'not-leader') return void this.#call.emit('error', result.error);
    const status = { 'not-ready': batchNotReady, busy: batchBusy, timeout: batchTimeout }[result.reason]();
    return this.#refuse(append.correlation, append.stream, status);
  }

  #refuse(correlation: UUID | undefined, stream: string, error: BatchStatus): void {
    const answer = this.#answerTo(correlation, stream);
    answer.setError(error);
    this.#call.write(answer);
  }

  #answerTo(correlation: UUID | undefined, stream: string): BatchAppendResp {
    const answer = new streamsPb.BatchAppendResp();
    if (correlation !== undefined) answer.setCorrelationId(correlation);
    answer.setStreamIdentifier(identifierOf(stream));
    return answer;
  }

  #arm(append: Pending): void {
    append.timer ??= setTimeout(() => {
      this.#pending.delete(append.correlation.getString().toLowerCase());
      this.#refuse(append.correlation, append.stream, batchTimeout());
    }, append.timeout).unref();
  }

  #close(id: string, append: Pending): void {
    clearTimeout(append.timer);
    this.#pending.delete(id);
  }

  #end(): void {
    this.#ending = true;
    if (this.#unanswered === 0) this.#call.end();
  }

  #forget(): void {
    for (const [id, append] of this.#pending) this.#close(id, append);
  }
}

function expectedBy(options: BatchAppendReq.Options): Expected {
  if (options.hasNoStream()) return 'no_stream';
  if (options.hasAny()) return 'any';
  if (options.hasStreamExists()) return 'stream_exists';
  if (options.hasStreamPosition()) return BigInt(options.getStreamPosition());
  throw new Error("'None' is not a valid expected stream position.");
}
