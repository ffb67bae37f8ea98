import type { SealedEvent } from './chain.ts';
import type { StoredEvent } from './event-types.ts';

/**
 * The store contract. Implementations: postgres/ and kurrent/. One suite of tests (test/events/store-contract.ts) runs against each.
 *
 * Revisions count from 0 within a stream; NO_STREAM is the revision of a stream without events. Positions order the
 * whole log; they are opaque strings, because other stores have positions beyond 2^53.
 */

export const NO_STREAM = -1;

/** A position before the first event. */
export const START = '0';

/** One number, or several with slashes between them of which the first orders. */
export type Position = string;

/** An event and its place in the log. */
export type PositionedEvent = StoredEvent & { readonly position: Position };

/** That a stream advanced: which event stands where in the log, without what it says. */
export type Advance = Pick<PositionedEvent, 'stream' | 'revision' | 'id' | 'position'>;

/** An event to append, with what it claims and which earlier revisions it is about. */
export type NewEvent = SealedEvent & {
  /** Hashes in base64url, unique in the stream. */
  readonly claims: readonly string[];
  readonly about: readonly number[];
};

/** Events for one stream: written all together behind `expectedRevision`, or not at all. None: the head is confirmed. */
export type Batch = {
  readonly stream: string;
  readonly expectedRevision: number;
  readonly events: readonly NewEvent[];
  /** Whether the caller has the turn on this stream. Without it the batch is refused while somebody else has it. */
  readonly hasTurn?: boolean;
  /** Claims of these events that this process made up a moment ago: nobody else can hold them. */
  readonly fresh?: readonly string[];
  /** Claims that must not stand yet, though no event of this batch makes them: keys of commands that wrote nothing. */
  readonly unclaimed: readonly string[];
};

export type BatchResult =
  | { readonly accepted: true; readonly revision: number }
  | {
      /** The head was elsewhere, or a claim stood already. Nothing of this batch was written. */
      readonly accepted: false;
      /** Somebody else has the turn on the stream: wait for one's own. */
      readonly contended: boolean;
      /** The events behind the expected revision, in order, the first thousand at the most. */
      readonly missing: readonly StoredEvent[];
      /** The events that hold the claims of this batch which stood already, by claim. */
      readonly claimed: ReadonlyMap<string, StoredEvent>;
    };

/**
 * What came of a batch that this append could neither write nor refuse: an OutcomeUnknownError, a
 * StoreUnavailableError, or what is wrong with its data. A store that writes a group as a whole throws instead.
 */
export type BatchFailure = { readonly failed: unknown; readonly accepted?: never };

/** What the log knows about an earlier revision: its event and the last one about it. */
export type Standing = { readonly event: StoredEvent; readonly last: StoredEvent | undefined };

/** The outcome of an append is not known: the connection was lost after it was sent. Read the stream to find out. */
export class OutcomeUnknownError extends Error {
  override readonly name = 'OutcomeUnknownError';
}

/** The store can't be reached or is too busy, and nothing was written. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

/** A stream can't be read and never will be, since it was deleted on the server: somebody has to look at it. */
export class StreamGoneError extends StoreUnavailableError {}

export type Store = {
  /**
   * Appends the batches of many streams in one round trip, each stream once, independent of one another's conflicts.
   * Throws OutcomeUnknownError or StoreUnavailableError; any other error means that something in this group can't be
   * stored, and that nothing was. A store whose streams fare each on its own says so batch by batch.
   */
  append(batches: readonly Batch[]): Promise<readonly (BatchResult | BatchFailure)[]>;

  /** A stream's events from a revision on, oldest first (`forward`) or newest first, at most `limit`. */
  readStream(
    stream: string,
    options: { readonly from?: number; readonly direction?: 'forward' | 'backward'; readonly limit: number },
  ): Promise<readonly StoredEvent[]>;

  /** Many streams at once: the events from revision `from` to revision `to` of each, in order, streams in any order. */
  readStreams(
    ranges: readonly { readonly stream: string; readonly from: number; readonly to: number }[],
  ): Promise<readonly StoredEvent[]>;

  /** Events in commit order behind a position, at most `limit`. Never passes over one that commits late. */
  readAll(options: { readonly after: Position; readonly limit: number }): Promise<readonly PositionedEvent[]>;

  /**
   * Follows the log from behind a position: catches up, then goes on live, in commit order, a non-empty array at a
   * time. Says which streams advanced; whoever wants their events reads them. Reconnects by itself, and ends only when
   * the signal says so.
   */
  subscribe(options: {
    readonly after: Position;
    readonly limit: number;
    readonly signal: AbortSignal;
  }): AsyncIterable<readonly Advance[]>;

  /** The events that hold these claims, by claim; those that nobody holds are left out. */
  findClaims(stream: string, claims: readonly string[]): Promise<ReadonlyMap<string, StoredEvent>>;

  /** For each of these revisions that exists: its event and the last event about it. */
  lastAbout(stream: string, revisions: readonly number[]): Promise<ReadonlyMap<number, Standing>>;

  /** The position of the last event, START where there is none. */
  lastPosition(): Promise<Position>;
};
