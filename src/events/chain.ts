import { canonicalJson, type Json, sha256 } from './canonical.ts';
import type { Metadata } from './metadata.ts';

/**
 * The hash chain of a stream. Each event's metadata holds the hash of the event before it; its own hash covers
 * stream, revision, type, data and metadata as they are stored, so that no event can be changed, moved, removed or
 * put in without breaking the chain from there on.
 */
export type SealedEvent = {
  readonly stream: string;
  readonly revision: number;
  readonly type: string;
  /** Canonical JSON, stored to the letter. */
  readonly data: string;
  /** Canonical JSON without the hash itself, stored to the letter. */
  readonly metadata: string;
  readonly hash: Buffer;
  /** The first 128 bits of the hash, as a UUID. Never made from an idempotency key: a store may take a known id for a repeat without a look at the content. */
  readonly id: string;
};

/** What stands as `prevHash` in the first event of a stream. */
export const NO_HASH = '';

/**
 * The hash of an event as stored: SHA-256 over the canonical JSON of {data, metadata, revision, stream, type}.
 * The members stand here in canonical order, and data and metadata are canonical already.
 */
export function eventHash(event: { stream: string; revision: number; type: string; data: string; metadata: string }): Buffer {
  return sha256(
    `{"data":${event.data},"metadata":${event.metadata},"revision":${event.revision},` +
      `"stream":${JSON.stringify(event.stream)},"type":${JSON.stringify(event.type)}}`,
  );
}

/** An event's id: the first 128 bits of its hash, written as a UUID. */
export function eventId(hash: Buffer): string {
  const hex = hash.toString('hex', 0, 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/**
 * Seals an event behind the one whose hash stands in its metadata as `prevHash` (NO_HASH in the first of its stream):
 * the texts to store, their hash and the id made from it.
 */
export function seal(event: {
  stream: string;
  revision: number;
  type: string;
  data: Json;
  metadata: Json & Pick<Metadata, 'prevHash'>;
}): SealedEvent {
  const data = canonicalJson(event.data);
  const metadata = canonicalJson(event.metadata);
  const { stream, revision, type } = event;
  const hash = eventHash({ stream, revision, type, data, metadata });
  return { stream, revision, type, data, metadata, hash, id: eventId(hash) };
}
