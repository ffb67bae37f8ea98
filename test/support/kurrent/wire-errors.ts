import sharedPb from '@eventstore/db-client/generated/shared_pb.js';
import statusPb from '@eventstore/db-client/generated/status_pb.js';
import { Metadata, status } from '@grpc/grpc-js';
import type { Endpoint } from './faults.ts';
import type { Expected } from './records.ts';

/*
 * The server's two ways of saying no: the end of a call with a status and trailers, and a status inside an answer of
 * BatchAppend, whose details are packed the way the client unpacks them.
 */

export type CallError = { readonly code: number; readonly details: string; readonly metadata: Metadata };

export type BatchStatus = InstanceType<typeof statusPb.Status>;

function callError(code: number, details: string, trailers: Readonly<Record<string, string>> = {}): CallError {
  const metadata = new Metadata();
  // Trailers carry visible ASCII alone.
  for (const [key, value] of Object.entries(trailers)) metadata.set(key, value.replaceAll(/[^ -~]/g, '?'));
  return { code, details, metadata };
}

/** What a bug in the server, or an argument that it never thought of, looks like from outside. */
export const handlerFailed = (): CallError => callError(status.UNKNOWN, 'Exception was thrown by handler.');

export const unexpectedResult = (type: string): CallError => callError(status.UNKNOWN, `Unexpected ${type}: Error`);

export const notReady = (): CallError => callError(status.UNAVAILABLE, 'Server Is Not Ready');

export const tooBusy = (): CallError => callError(status.UNAVAILABLE, 'Server Is Too Busy');

export const timedOut = (what: string): CallError => callError(status.ABORTED, `Operation timed out: ${what}`);

export const notLeader = ({ host, port }: Endpoint): CallError =>
  callError(status.NOT_FOUND, 'Leader info available', {
    exception: 'not-leader',
    'leader-endpoint-host': host,
    'leader-endpoint-port': String(port),
  });

export const accessDenied = (): CallError => callError(status.PERMISSION_DENIED, 'Access Denied', { exception: 'access-denied' });

export const unauthenticated = (): CallError => callError(status.UNAUTHENTICATED, 'Unauthenticated');

export const streamDeleted = (stream: string): CallError =>
  callError(status.FAILED_PRECONDITION, `Event stream '${stream}' is deleted.`, {
    exception: 'stream-deleted',
    'stream-name': stream,
  });

export const tooLarge = (limit: number): CallError =>
  callError(status.INVALID_ARGUMENT, `Maximum Append Size of ${limit} Exceeded.`, {
    exception: 'maximum-append-size-exceeded',
    'maximum-append-size': String(limit),
  });

/** Deletions say a conflict in trailers, and revisions by their numbers inside the server. */
export function deleteConflict(stream: string, expected: Expected, current: bigint): CallError {
  const asked = String(typeof expected === 'bigint' ? expected : { any: -2, no_stream: -1, stream_exists: -4 }[expected]);
  const details = `Delete failed due to WrongExpectedVersion. Stream: ${stream}, Expected version: ${asked}, Actual version: ${current}`;
  return callError(status.FAILED_PRECONDITION, details, {
    exception: 'wrong-expected-version',
    'stream-name': stream,
    'expected-version': asked,
    'actual-version': String(current),
  });
}

type Packed = { serializeBinary(): Uint8Array };

/** `type` is the message's full name; what a client doesn't know by it, it can't tell from others. */
function batchStatus(code: number, message: string, type: string, details: Packed): BatchStatus {
  const any = Buffer.concat([field(1, Buffer.from(`type.googleapis.com/${type}`)), field(2, details.serializeBinary())]);
  // The stubs carry no Any of their own: it is written by hand, which is what packing amounts to.
  const bytes = Buffer.concat([Buffer.from([8, code]), field(2, Buffer.from(message)), field(3, any)]);
  return statusPb.Status.deserializeBinary(bytes);
}

/** A field with a length, as protobuf writes it. */
function field(number: number, content: Uint8Array): Buffer {
  const length = [];
  for (let rest = content.length; rest > 0 || length.length === 0; rest >>>= 7)
    length.push((rest & 127) | (rest > 127 ? 128 : 0));
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), content]);
}

const ours = (name: string): string => `event_store.client.${name}`;

/** For the reasons that the client recognises by nothing but the message. */
const unpacked = (code: number, message: string): BatchStatus =>
  batchStatus(code, message, 'google.protobuf.Empty', new sharedPb.Empty());

export const batchNotReady = (): BatchStatus => unpacked(status.OK, 'Server Is Not Ready');

export const batchBusy = (): BatchStatus => unpacked(status.OK, 'Server Is Busy');

export const batchAccessDenied = (): BatchStatus =>
  batchStatus(status.PERMISSION_DENIED, 'AccessDenied', ours('AccessDenied'), new sharedPb.AccessDenied());

export const batchTimeout = (): BatchStatus =>
  batchStatus(status.DEADLINE_EXCEEDED, 'Timeout', ours('Timeout'), new sharedPb.Timeout());

export function batchBadRequest(message: string): BatchStatus {
  const details = new sharedPb.BadRequest();
  details.setMessage(message);
  return batchStatus(status.INVALID_ARGUMENT, 'BadRequest', ours('BadRequest'), details);
}

export function batchTooLarge(limit: number): BatchStatus {
  const details = new sharedPb.MaximumAppendSizeExceeded();
  details.setMaxappendsize(limit);
  return batchStatus(status.INVALID_ARGUMENT, 'MaximumAppendSizeExceeded', ours('MaximumAppendSizeExceeded'), details);
}

export function batchStreamDeleted(stream: string): BatchStatus {
  const details = new sharedPb.StreamDeleted();
  const identifier = new sharedPb.StreamIdentifier();
  identifier.setStreamName(Buffer.from(stream));
  details.setStreamIdentifier(identifier);
  return batchStatus(status.NOT_FOUND, 'StreamDeleted', ours('StreamDeleted'), details);
}

export function batchConflict(expected: Expected, current: bigint): BatchStatus {
  const details = new sharedPb.WrongExpectedVersion();
  if (current < 0n) details.setCurrentNoStream(new sharedPb.Empty());
  else details.setCurrentStreamRevision(String(current));
  if (typeof expected === 'bigint') details.setExpectedStreamPosition(String(expected));
  else if (expected === 'any') details.setExpectedAny(new sharedPb.Empty());
  else if (expected === 'no_stream') details.setExpectedNoStream(new sharedPb.Empty());
  else details.setExpectedStreamExists(new sharedPb.Empty());
  return batchStatus(status.ALREADY_EXISTS, 'WrongExpectedVersion', ours('WrongExpectedVersion'), details);
}
