import type { Position } from '../store.ts';

/*
 * What the store and the thread with its client say to each other. Names of streams are the server's here, with the
 * ledger's prefix; revisions are numbers, positions strings, and events carry the texts that were hashed.
 */

/** An event on its way to the server. `hash` in base64url. */
export type WireEvent = {
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
  readonly hash: string;
};

/** An event as it came from the server; `position` in reads of the whole log alone. */
export type RecordedEvent = WireEvent & {
  readonly stream: string;
  readonly revision: number;
  readonly position: Position | null;
};

/** Where an event stands, without what it says. */
export type Sighting = Pick<RecordedEvent, 'stream' | 'revision' | 'id'> & { readonly position: Position };

export type WireBatch = { readonly stream: string; readonly expectedRevision: number; readonly events: readonly WireEvent[] };

/** A piece of a stream: so many events from a revision on (undefined: from its end), upwards or downwards. */
export type Range = {
  readonly stream: string;
  readonly from: number | undefined;
  readonly direction: 'forward' | 'backward';
  readonly count: number;
};

/** A piece of the whole log. `at` itself is read too; undefined: from the beginning, or from the end. */
export type AllRange = {
  readonly at: Position | undefined;
  readonly direction: 'forward' | 'backward';
  readonly count: number;
};

/** What is searched for behind a position (undefined: from the beginning): so many events under some prefixes. */
export type Search = { readonly after: Position | undefined; readonly prefixes: readonly string[]; readonly count: number };

/** What was found, and up to where was searched. `isEnd`: the log had no more. */
export type Searched = {
  readonly events: readonly RecordedEvent[];
  readonly upTo: Position | undefined;
  readonly isEnd: boolean;
};

/** What came of an append. `maybe`: it may have been written, or may still be. */
export type Written =
  | { readonly kind: 'written' }
  /** The stream's head is elsewhere, as the server's writer knows: readers may see it a moment later. -1: there is none. */
  | { readonly kind: 'conflict'; readonly head: number }
  | { readonly kind: 'refused' | 'unavailable' | 'maybe'; readonly why: string };

/** A read's answer, stream by stream. A stream that doesn't exist has no events; one that was deleted for good is `gone`. */
export type Read = { readonly events: readonly RecordedEvent[] } | { readonly why: string; readonly gone?: true };

export type Asked =
  | { readonly ask: 'check' }
  | { readonly ask: 'append'; readonly batches: readonly WireBatch[] }
  | { readonly ask: 'read'; readonly ranges: readonly Range[] }
  | { readonly ask: 'read-all'; readonly range: AllRange }
  | { readonly ask: 'search'; readonly search: Search };

export type Answers = {
  /** The server's version and whether it takes many appends on one connection. */
  readonly check: { readonly version: string; readonly takesBatches: boolean } | { readonly why: string };
  readonly append: readonly Written[];
  readonly read: readonly Read[];
  readonly 'read-all': Read;
  readonly search: Searched | { readonly why: string };
};

/** To the thread. */
export type ToThread =
  | { readonly kind: 'ask'; readonly number: number; readonly asked: Asked }
  | {
      readonly kind: 'follow';
      readonly number: number;
      readonly after: Position | undefined;
      readonly prefixes: readonly string[];
    }
  /** So many of the sightings were taken: as many more may come. */
  | { readonly kind: 'taken'; readonly number: number; readonly count: number }
  | { readonly kind: 'unfollow'; readonly number: number };

/** From the thread. */
export type FromThread =
  | { readonly kind: 'answer'; readonly number: number; readonly answer: Answers[Asked['ask']] }
  | { readonly kind: 'seen'; readonly number: number; readonly sightings: readonly Sighting[] }
  /** Nothing that is followed stands up to this position, but for what was seen. */
  | { readonly kind: 'searched'; readonly number: number; readonly position: Position }
  /** A subscription has ended: with an error, or without a word. */
  | { readonly kind: 'dropped'; readonly number: number; readonly why: string }
  | { readonly kind: 'trouble'; readonly why: string };
