import { randomUUID } from 'node:crypto';

/*
 * What the log of the double consists of. Positions are offsets of bytes, as on a real server, but begin beyond 2^53 and
 * are all odd: whoever makes a number of one gets another position, which no record begins at.
 */

/** Where the first record begins. */
export const FIRST_POSITION = 2n ** 53n + 1n;

/** The revision that a tombstone has, and `$tb` of a deleted stream. */
export const DELETED_REVISION = 2n ** 63n - 1n;

/** What a writer asks of the stream; a number is its last revision. */
export type Expected = 'any' | 'no_stream' | 'stream_exists' | bigint;

export type ProposedEvent = {
  readonly id: string;
  readonly type: string;
  readonly isJson: boolean;
  readonly data: Uint8Array;
  readonly metadata: Uint8Array;
};

export type LoggedEvent = ProposedEvent & {
  readonly stream: string;
  readonly revision: bigint;
  readonly created: Date;
  readonly position: bigint;
  /** Where the next record begins. */
  readonly end: bigint;
  /** How many records stand before it in the log. */
  readonly index: number;
  /** What a write without events leaves: it takes room in the log, but nobody reads it. */
  readonly hidden: boolean;
};

/** An event as tests write it past the wire: other people's, the server's own, and such as no client could write. */
export type PlainEvent = {
  readonly type: string;
  /** Text or bytes are kept as they are, also where they are no JSON; anything else is written as JSON. */
  readonly data?: unknown;
  readonly metadata?: unknown;
  readonly id?: string;
  readonly isJson?: boolean;
};

/** The event as if it had come over the wire. */
export function proposed(event: PlainEvent): ProposedEvent {
  return {
    id: event.id ?? randomUUID(),
    type: event.type,
    isJson: event.isJson ?? true,
    data: bytes(event.data ?? {}),
    metadata: event.metadata === undefined ? new Uint8Array() : bytes(event.metadata),
  };
}

function bytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value), 'utf8');
}

/** What an event's data says: the value of its JSON. Throws where it is none. */
export function jsonOf(event: ProposedEvent): unknown {
  return JSON.parse(Buffer.from(event.data).toString('utf8'));
}

/** How many bytes a record takes: even, so that odd positions stay odd. */
export function sizeOf(stream: string, event: ProposedEvent | undefined): bigint {
  const size = 88 + stream.length + (event === undefined ? 0 : event.type.length + event.data.length + event.metadata.length);
  return BigInt(size + (size % 2));
}
