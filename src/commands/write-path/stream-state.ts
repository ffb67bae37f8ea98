import { NO_HASH } from '../../events/chain.ts';
import type { LedgerEvent, Recorded } from '../../events/event-types.ts';
import { NO_STREAM } from '../../events/store.ts';
import type { Decider } from '../decider.ts';

/** A stream folded up to a revision, with what the next event needs: the last hash and time. */
export type StreamState<State> = {
  readonly state: State;
  readonly revision: number;
  /** The last event's hash in base64url. */
  readonly hash: string;
  /** The last event's time, in ms since 1970. */
  readonly at: number;
};

/** A stream that has no events. */
export function emptyStream<State>(initialState: State): StreamState<State> {
  return { state: initialState, revision: NO_STREAM, hash: NO_HASH, at: 0 };
}

/** The stream one event further. Throws where the event isn't the next one: the log is broken. */
export function advance<State, Event extends LedgerEvent>(
  decider: Pick<Decider<State, never, Event>, 'evolve'>,
  stream: StreamState<State>,
  event: Recorded<Event>,
): StreamState<State> {
  if (event.revision !== stream.revision + 1 || event.metadata.prevHash !== stream.hash) {
    throw new Error(`${event.stream}@${event.revision} does not follow on revision ${stream.revision}`);
  }
  return {
    state: decider.evolve(stream.state, event),
    revision: event.revision,
    hash: event.hash.toString('base64url'),
    at: Date.parse(event.metadata.at),
  };
}
