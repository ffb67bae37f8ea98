import type { LedgerEvent, Recorded } from '../events/event-types.ts';
import type { Actor, Metadata } from '../events/metadata.ts';
import type { Rejection } from './rejection.ts';

/**
 * The shape of every decision: state + facts + command → events, a rejection, or what happened already. Pure: time and
 * ids are inputs. One decider a kind of stream; the write path (handle.ts) runs them.
 */
export type Decider<State, Command, Event extends LedgerEvent> = {
  readonly initialState: State;
  /** The state after an event. Reads only the event: no clock, no configuration. */
  evolve(state: State, event: Evolvable<Event>): State;
  /** What the passing of time has done by `now` to a state: the event to write before a batch, or undefined. */
  expire(state: State, now: number): Decided<Event> | undefined;
  decide(command: Command, state: State, facts: Facts<Event>, context: Context): Decision<Event>;
  /**
   * The revisions of earlier events that a command needs and this state no longer holds: read as facts first. Asked
   * again with what was read, since an event may name others.
   */
  missingFacts(command: Command, state: State, facts: Facts<Event>): readonly number[];
  /** How much memory a state takes, in units of an empty one: bounds the cache. */
  weigh(state: State): number;
};

/** An event before it is sealed. `about`: the earlier revisions it settles. `claims`: what it makes unique. */
export type Decided<Event extends LedgerEvent = LedgerEvent> = Event & {
  readonly about?: readonly number[];
  readonly claims?: readonly string[];
};

/** What `evolve` sees of an event. */
export type Evolvable<Event extends LedgerEvent = LedgerEvent> = Event & {
  readonly revision: number;
  readonly metadata: Pick<Metadata, 'actor'>;
};

export type Decision<Event extends LedgerEvent = LedgerEvent> =
  /** The last event is the one that answers; it carries the command's key. */
  | { readonly kind: 'append'; readonly events: readonly [...Decided<Event>[], Decided<Event>] }
  /** It has happened already: the answer is the event that it made then. */
  | { readonly kind: 'repeat'; readonly event: Recorded<Event> }
  /** There is nothing to write: the answer is how things stand. `event`: what made them so, where one did. */
  | { readonly kind: 'unchanged'; readonly event?: Recorded<Event> }
  /** `unless`: claims with which it would have happened already, which only a look at the log tells. */
  | { readonly kind: 'reject'; readonly rejection: Rejection; readonly unless?: readonly string[] };

/** What a decision may know beside the state. Times in milliseconds since 1970. */
export type Context = {
  readonly now: number;
  readonly stream: string;
  readonly actor: Actor;
  /** The app that acts. */
  readonly app: string;
  /** The revision of the first event that is decided. */
  readonly revision: number;
};

/** What was read from the log because state no longer holds it, kept up to date with every later event. */
export type Facts<Event extends LedgerEvent = LedgerEvent> = {
  /** The event that holds a claim. */
  claimed(claim: string): Recorded<Event> | undefined;
  /** An earlier event and the last one about it. */
  standing(revision: number): { readonly event: Recorded<Event>; readonly last: Recorded<Event> | undefined } | undefined;
};

/** Refuses a command. */
export function reject(rejection: Rejection): { readonly kind: 'reject'; readonly rejection: Rejection } {
  return { kind: 'reject', rejection };
}
