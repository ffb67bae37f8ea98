import sharedPb from '@eventstore/db-client/generated/shared_pb.js';
import type {
  AppendReq,
  AppendResp,
  DeleteReq,
  DeleteResp,
  TombstoneReq,
  TombstoneResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import streamsPb from '@eventstore/db-client/generated/streams_pb.js';
import type { sendUnaryData, ServerReadableStream, ServerUnaryCall } from '@grpc/grpc-js';
import { admitWrite, refusalOf, type WriteResult } from './admission.ts';
import { APPEND_SIZE_MAX } from './batch-append.ts';
import type { KurrentNode } from './node.ts';
import type { Expected, ProposedEvent } from './records.ts';
import { type CallError, deleteConflict, handlerFailed, streamDeleted, tooLarge } from './wire-errors.ts';
import { appendSize, nameOf, proposalOf } from './wire-events.ts';

/* Append, the client's way where credentials come with the call or BatchAppend is not there; Delete and Tombstone. */

type Asked = { readonly stream: string; readonly expected: Expected };

/** What the events of an append come to: all of them, or the error that they earn. */
type Collected = { events: ProposedEvent[]; size: number; asked?: Asked; error?: CallError };

export function append(
  node: KurrentNode,
  call: ServerReadableStream<AppendReq, AppendResp>,
  callback: sendUnaryData<AppendResp>,
): void {
  const collected: Collected = { events: [], size: 0 };
  call.on('data', (request: AppendReq) => collect(collected, request));
  call.on('end', () => node.faults.whenThawed(() => finish(node, call, collected, callback)));
}

function collect(collected: Collected, request: AppendReq): void {
  try {
    const options = request.getOptions();
    if (options !== undefined) {
      collected.asked = { stream: nameOf(options.getStreamIdentifier()), expected: expectedBy(options) };
      return;
    }
    const message = request.getProposedMessage();
    if (message === undefined) throw new Error('Neither options nor an event.');
    const event = proposalOf(message);
    collected.events.push(event);
    collected.size += appendSize(event);
    if (collected.size > APPEND_SIZE_MAX) collected.error ??= tooLarge(APPEND_SIZE_MAX);
  } catch {
    collected.error ??= handlerFailed();
  }
}

function finish(
  node: KurrentNode,
  call: ServerReadableStream<AppendReq, AppendResp>,
  { asked, events, error }: Collected,
  callback: sendUnaryData<AppendResp>,
): void {
  const refusal = refusalOf(node, call.metadata) ?? error;
  if (refusal !== undefined) return callback(refusal);
  if (asked === undefined || asked.stream === '' || asked.stream === '$$') return callback(handlerFailed());
  const { stream, expected } = asked;
  const write = () => node.log.append(stream, expected, events);
  return admitWrite(node, call, 'append', stream, write, (result) => {
    if (result.kind === 'refused') callback(result.error);
    else if (result.kind === 'deleted') callback(streamDeleted(stream));
    else callback(null, result.kind === 'done' ? success(result) : conflict(expected, result.current));
  });
}

function success({ revision, position }: WriteResult & { kind: 'done' }): AppendResp {
  const done = new streamsPb.AppendResp.Success();
  if (revision < 0n) done.setNoStream(new sharedPb.Empty());
  else done.setCurrentRevision(String(revision));
  const at = new streamsPb.AppendResp.Position();
  at.setCommitPosition(String(position));
  at.setPreparePosition(String(position));
  done.setPosition(at);
  const answer = new streamsPb.AppendResp();
  answer.setSuccess(done);
  return answer;
}

function conflict(expected: Expected, current: bigint): AppendResp {
  const wrong = new streamsPb.AppendResp.WrongExpectedVersion();
  if (current < 0n) wrong.setCurrentNoStream(new sharedPb.Empty());
  else wrong.setCurrentRevision(String(current));
  if (typeof expected === 'bigint') wrong.setExpectedRevision(String(expected));
  else if (expected === 'any') wrong.setExpectedAny(new sharedPb.Empty());
  else if (expected === 'no_stream') wrong.setExpectedNoStream(new sharedPb.Empty());
  else wrong.setExpectedStreamExists(new sharedPb.Empty());
  const answer = new streamsPb.AppendResp();
  answer.setWrongExpectedVersion(wrong);
  return answer;
}

type RevisionOptions = {
  hasRevision(): boolean;
  getRevision(): string;
  hasNoStream(): boolean;
  hasAny(): boolean;
  hasStreamExists(): boolean;
};

function expectedBy(options: RevisionOptions): Expected {
  if (options.hasNoStream()) return 'no_stream';
  if (options.hasAny()) return 'any';
  if (options.hasStreamExists()) return 'stream_exists';
  if (options.hasRevision()) return BigInt(options.getRevision());
  throw new Error('No expected revision.');
}

export function deleteStream(
  node: KurrentNode,
  call: ServerUnaryCall<DeleteReq, DeleteResp>,
  callback: sendUnaryData<DeleteResp>,
): void {
  remove(node, call, false, callback, (position) => {
    const at = new streamsPb.DeleteResp.Position();
    at.setCommitPosition(position);
    at.setPreparePosition(position);
    const answer = new streamsPb.DeleteResp();
    answer.setPosition(at);
    return answer;
  });
}

export function tombstone(
  node: KurrentNode,
  call: ServerUnaryCall<TombstoneReq, TombstoneResp>,
  callback: sendUnaryData<TombstoneResp>,
): void {
  remove(node, call, true, callback, (position) => {
    const at = new streamsPb.TombstoneResp.Position();
    at.setCommitPosition(position);
    at.setPreparePosition(position);
    const answer = new streamsPb.TombstoneResp();
    answer.setPosition(at);
    return answer;
  });
}

function remove<Answer>(
  node: KurrentNode,
  call: ServerUnaryCall<DeleteReq | TombstoneReq, Answer>,
  hard: boolean,
  callback: sendUnaryData<Answer>,
  answerAt: (position: string) => Answer,
): void {
  node.faults.whenThawed(() => {
    const options = call.request.getOptions();
    const refusal = refusalOf(node, call.metadata);
    if (refusal !== undefined) return callback(refusal);
    const stream = nameOf(options?.getStreamIdentifier());
    if (options === undefined || stream === '') return callback(handlerFailed());
    const expected = expectedBy(options);
    const write = () => node.log.delete(stream, expected, hard);
    return admitWrite(node, call, 'delete', stream, write, (result) => {
      if (result.kind === 'refused') callback(result.error);
      else if (result.kind === 'deleted') callback(streamDeleted(stream));
      else if (result.kind === 'conflict') callback(deleteConflict(stream, expected, result.current));
      else callback(null, answerAt(String(result.position)));
    });
  });
}
