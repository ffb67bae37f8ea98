import type { Metadata } from '@grpc/grpc-js';
import type { Operation } from './faults.ts';
import type { AppendOutcome } from './log.ts';
import type { KurrentNode } from './node.ts';
import {
  accessDenied,
  type CallError,
  handlerFailed,
  notLeader,
  notReady,
  timedOut,
  tooBusy,
  unauthenticated,
} from './wire-errors.ts';

/* Whether a call is let in at all: its credentials, what only the leader does, and the faults that lie in wait for it. */

type Call = { readonly metadata: Metadata; getPeer(): string };

/** What a write ends with: its outcome in the log, or why the log was never asked. */
export type WriteResult =
  | AppendOutcome
  | { readonly kind: 'refused'; readonly error: CallError; readonly reason: 'not-ready' | 'busy' | 'timeout' | 'not-leader' };

/** Whose call it is: `nobody` where credentials are asked for and none were given. */
export function callerOf(node: KurrentNode, metadata: Metadata): 'somebody' | 'nobody' | 'impostor' {
  if (node.credentials === undefined) return 'somebody';
  const [given] = metadata.get('authorization');
  if (given === undefined) return 'nobody';
  const wanted = Buffer.from(`${node.credentials.username}:${node.credentials.password}`).toString('base64');
  return String(given) === `Basic ${wanted}` ? 'somebody' : 'impostor';
}

/** The error that a caller's credentials earn; undefined where they are sound. */
export function refusalOf(node: KurrentNode, metadata: Metadata): CallError | undefined {
  const caller = callerOf(node, metadata);
  if (caller === 'impostor') return unauthenticated();
  return caller === 'nobody' ? accessDenied() : undefined;
}

const requiresLeader = (metadata: Metadata): boolean => String(metadata.get('requires-leader')[0]) === 'true';

/**
 * Writes, unless the server's standing or a fault is against it. `answer` is called once, or never where the call hangs
 * or its connection is gone.
 */
export function admitWrite(
  node: KurrentNode,
  call: Call,
  operation: Operation,
  stream: string,
  write: () => AppendOutcome,
  answer: (result: WriteResult) => void,
): void {
  const fault = node.faults.take(operation, stream);
  const standing = node.standing(requiresLeader(call.metadata));
  if (fault?.kind === 'hang') return;
  if (fault?.kind === 'drop') return node.sockets.drop(call.getPeer());
  if (fault?.kind === 'busy') return answer({ kind: 'refused', error: tooBusy(), reason: 'busy' });
  if (fault?.kind === 'not-ready' || standing === 'not-ready') {
    return answer({ kind: 'refused', error: notReady(), reason: 'not-ready' });
  }
  const leader = fault?.kind === 'not-leader' ? fault.leader : standing === 'ready' ? undefined : standing.leader;
  if (leader !== undefined) return answer({ kind: 'refused', error: notLeader(leader), reason: 'not-leader' });
  if (fault?.kind === 'timeout') {
    if (fault.written) write();
    return answer({ kind: 'refused', error: timedOut('Prepare phase timeout.'), reason: 'timeout' });
  }
  const result = write();
  if (fault?.kind === 'lose-answer') node.sockets.drop(call.getPeer());
  else if (fault?.kind === 'late') setTimeout(() => answer(result), fault.milliseconds).unref();
  else answer(result);
}

type ReadCall = Call & { emit(event: 'error', error: CallError): boolean };

/**
 * Lets a read or a subscription begin, unless something is against it. `begin` gets after how many events the connection
 * is to be cut.
 */
export function admitRead(
  node: KurrentNode,
  call: ReadCall,
  operation: Operation,
  stream: string,
  begin: (cutAfter: number) => void,
): void {
  const refusal = refusalOf(node, call.metadata);
  if (refusal !== undefined) return void call.emit('error', refusal);
  const fault = node.faults.take(operation, stream);
  const standing = node.standing(requiresLeader(call.metadata));
  if (fault === undefined && standing === 'ready') return begin(Number.POSITIVE_INFINITY);
  if (fault?.kind === 'hang') return undefined;
  const isCutAtOnce = fault?.kind === 'cut' && fault.afterEvents === 0;
  if (isCutAtOnce || fault?.kind === 'drop' || fault?.kind === 'lose-answer') return node.sockets.drop(call.getPeer());
  if (fault?.kind === 'busy') return void call.emit('error', tooBusy());
  if (fault?.kind === 'not-ready' || standing === 'not-ready') return void call.emit('error', notReady());
  if (fault?.kind === 'timeout') return void call.emit('error', timedOut('Read timed out.'));
  const leader = fault?.kind === 'not-leader' ? fault.leader : standing === 'ready' ? undefined : standing.leader;
  if (leader !== undefined) return void call.emit('error', notLeader(leader));
  if (fault?.kind === 'cut') return begin(fault.afterEvents);
  if (fault?.kind === 'late') return void setTimeout(() => begin(Number.POSITIVE_INFINITY), fault.milliseconds).unref();
  return void call.emit('error', handlerFailed());
}
