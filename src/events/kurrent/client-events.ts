import type {
  AllStreamRecordedEvent,
  JSONType,
  Position as WirePosition,
  RecordedEvent as ClientEvent,
} from '@eventstore/db-client';
import { canonicalJson, type Json } from '../canonical.ts';
import type { Position } from '../store.ts';
import type { RecordedEvent, WireEvent } from './protocol.ts';

/*
 * Events and positions as the client's package has them, and as the ledger has them. Events are JSON on the server. The
 * client parses them on the way back; canonical JSON is made of them again, which is what was hashed. `$` fields and the
 * hash stand in the metadata there, and are no part of what was hashed.
 */

/** An event for the server. Its tools show `$correlationId` and `$causationId`. */
export function toServer({ id, type, data, metadata, hash }: WireEvent) {
  const { correlationId, causationId } = JSON.parse(metadata) as { correlationId?: string; causationId?: string | null };
  const more = canonicalJson({
    ...(typeof causationId === 'string' && { $causationId: causationId }),
    ...(typeof correlationId === 'string' && { $correlationId: correlationId }),
    hash,
  });
  // The client takes bytes as they are only from this very class.
  const bytes = new TextEncoder().encode(`${more.slice(0, -1)},${metadata.slice(1)}`);
  return { id, type, contentType: 'application/json' as const, data: JSON.parse(data) as JSONType, metadata: bytes };
}

/** An event of the whole log. The server's own are told by their names; what they say doesn't concern us. */
export function fromAll(event: AllStreamRecordedEvent): RecordedEvent {
  const position = toPosition(event.position);
  if (!event.streamId.startsWith('$')) return fromServer(event, position);
  const { streamId, revision, id, type } = event;
  return { stream: streamId, revision: Number(revision), id, type, data: '', metadata: '', hash: '', position };
}

/** An event as it was hashed. One that can't be read keeps its place: whoever needs it is told so. */
export function fromServer(event: ClientEvent, position: Position | null): RecordedEvent {
  const { streamId, revision, id, type, isJson, data, metadata } = event;
  const { hash, ...noted } = isObject(metadata) ? metadata : {};
  const hashed = Object.entries(noted).filter(([name]) => !name.startsWith('$'));
  return {
    stream: streamId,
    revision: Number(revision),
    id,
    type,
    data: isJson && isObject(data) ? canonicalJson(data as Json) : textOf(data),
    metadata: canonicalJson(Object.fromEntries(hashed) as Json),
    hash: typeof hash === 'string' ? hash : '',
    position,
  };
}

function isObject(value: unknown): value is { readonly [member: string]: unknown } {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
}

/** What is no JSON object is no event's data: it is kept as text, for whoever says that it can't be read. */
function textOf(data: unknown): string {
  if (typeof data === 'string') return data;
  return data instanceof Uint8Array ? Buffer.from(data).toString('utf8') : JSON.stringify(data);
}

/** A position as text: of one number where both are the same. */
export function toPosition({ commit, prepare }: WirePosition): Position {
  return commit === prepare ? String(commit) : `${commit}/${prepare}`;
}

/** The position that a text of `toPosition` names. */
export function toWirePosition(position: Position): WirePosition {
  const [commit = '0', prepare = commit] = position.split('/');
  return { commit: BigInt(commit), prepare: BigInt(prepare) };
}
