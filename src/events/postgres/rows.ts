import type { StoredEvent } from '../event-types.ts';
import type { PositionedEvent } from '../store.ts';

/** An event's columns as the driver gives them; `e` is ledger.events, `s` ledger.streams. */
export const EVENT_COLUMNS = 's.name as stream, e.revision, e.id, e.type, e.data, e.metadata, e.hash, e.position';

export type EventRow = {
  stream: string;
  revision: string;
  id: string;
  type: string;
  data: string;
  metadata: string;
  hash: Buffer;
  position: string;
};

/** A row as an event of the contract. */
export function toStored(row: EventRow): StoredEvent {
  const { stream, id, type, data, metadata, hash } = row;
  return { stream, revision: Number(row.revision), id, type, data, metadata, hash };
}

/** A row as an event with its place in the log. */
export function toPositioned(row: EventRow): PositionedEvent {
  return { ...toStored(row), position: row.position };
}
