import type { LedgerEvent, Recorded } from '../../events/event-types.ts';
import type { Actor } from '../../events/metadata.ts';
import type { Json } from '../../events/canonical.ts';
import type { Rejection } from '../rejection.ts';

/** A command on its way to a stream: what is asked, by whom, and under which key. */
export type Envelope<Command> = {
  readonly stream: string;
  readonly command: Command;
  readonly actor: Actor;
  /** Null only for the system's own commands that need no memory. */
  readonly key: IdempotencyKey | null;
  /** Made for this very call: tells an answer that was lost from one given to an earlier call. */
  readonly commandId: string;
  readonly correlationId: string;
  /** The id of the event that made this command, null for a request from outside. */
  readonly causationId: string | null;
  /** How much memory it takes while it waits, where that is much: the bytes of its request. */
  readonly bytes?: number;
};

export type IdempotencyKey = {
  readonly value: string;
  /** The key within whoever calls; see events/claims.ts. */
  readonly claim: string;
  /** Whether this process made the key up, since the caller named none, and sent it to no store yet: it was never used. */
  readonly isOwn?: boolean;
  /** The command's type and body as supplied, without the key. */
  readonly request: { readonly type: string; readonly body: Json };
};

/** The answer to a command. It rests on a state that is durable and was the stream's head after the command came. */
export type Outcome<State, Event extends LedgerEvent = LedgerEvent> =
  /** `event` answers. `replayed`: it was written for an earlier call. */
  | { readonly kind: 'accepted'; readonly event: Recorded<Event>; readonly replayed: boolean }
  /** Nothing had to be written; this is how things stand. `event`: what made them so, where one event did. */
  | { readonly kind: 'unchanged'; readonly state: State; readonly revision: number; readonly event: Recorded<Event> | undefined }
  | { readonly kind: 'rejected'; readonly rejection: Rejection };

/** More commands wait than the process will hold: nothing was written, the same key may be tried again soon. */
export class OverloadedError extends Error {
  override readonly name = 'OverloadedError';
}

/** A stream's head lies further ahead of the clock than clocks may differ: somebody's clock is wrong. */
export class ClockSkewError extends Error {
  override readonly name = 'ClockSkewError';
}
