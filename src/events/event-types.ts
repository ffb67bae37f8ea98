import { z } from 'zod';
import { accountSchemas, type AccountEvent } from './account-events.ts';
import { catalogueSchemas, type CatalogueEvent } from './catalogue-events.ts';
import { type Metadata, metadataSchema } from './metadata.ts';

/** An event of any stream, as code that follows the log sees it. */
export type LedgerEvent = AccountEvent | CatalogueEvent;

/** An event as read back from the log. */
export type Recorded<Event extends LedgerEvent = LedgerEvent> = Event & {
  readonly stream: string;
  readonly revision: number;
  readonly id: string;
  readonly hash: Buffer;
  readonly metadata: Metadata;
};

/** Whether an event stands in an account's stream, as its type tells. */
export function isAccountEvent(event: Recorded): event is Recorded<AccountEvent> {
  return Object.hasOwn(accountSchemas, event.type);
}

/** The version of the data that this code writes, by type of event. What isn't named here is at version 1. */
const versions: { readonly [type: string]: number } = {
  // 2: what is frozen, owed, priced and free. All of it may be absent, as it always is in version 1.
  AccountOpened: 2,
  CreditsGranted: 2,
  CreditsReserved: 2,
  CreditsConsumed: 2,
  ReservationReleased: 2,
  Expired: 2,
};

/** Raised with every change to `evolve` or an upcaster: a snapshot of another version is not believed. */
export const SNAPSHOT_VERSION = 4;

const schemas: { readonly [type: string]: z.ZodType } = { ...accountSchemas, ...catalogueSchemas };

/** The schema version under which an event of this type is written today. */
export function schemaVersion(type: string): number {
  return versions[type] ?? 1;
}

/**
 * An event that this process is too old to read, or whose text is no event at all. It is never passed over: whoever
 * needs the stream is refused until a newer process answers.
 */
export class UnreadableEventError extends Error {
  override readonly name = 'UnreadableEventError';
}

/** An event as a store holds it. */
export type StoredEvent = {
  readonly stream: string;
  readonly revision: number;
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
  readonly hash: Buffer;
};

/**
 * Reads a stored event: parses, brings an older version of its data up to today's, and checks it against its schema.
 * Throws UnreadableEventError for a type or version that this code doesn't know, and for a text that doesn't fit.
 */
export function readEvent(stored: StoredEvent): Recorded {
  const where = `${stored.stream}@${stored.revision} (${stored.type})`;
  const schema = Object.hasOwn(schemas, stored.type) ? schemas[stored.type] : undefined;
  if (schema === undefined) throw new UnreadableEventError(`${where}: unknown type of event`);
  const metadata = metadataSchema.safeParse(parseJson(stored.metadata, where));
  if (!metadata.success) throw new UnreadableEventError(`${where}: metadata: ${z.prettifyError(metadata.error)}`);
  if (metadata.data.schema > schemaVersion(stored.type)) {
    throw new UnreadableEventError(`${where}: schema version ${metadata.data.schema} is newer than this process knows`);
  }
  const data = schema.safeParse(parseJson(stored.data, where));
  if (!data.success) throw new UnreadableEventError(`${where}: ${z.prettifyError(data.error)}`);
  const { stream, revision, id, hash, type } = stored;
  return { stream, revision, id, hash, type, data: data.data, metadata: metadata.data } as Recorded;
}

function parseJson(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnreadableEventError(`${where}: not JSON`);
  }
}
