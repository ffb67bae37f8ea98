import { z } from 'zod';
import { eventHash, eventId } from '../../events/chain.ts';
import type { StoredEvent } from '../../events/event-types.ts';
import { metadataSchema } from '../../events/metadata.ts';
import type { Batch, NewEvent } from '../../events/store.ts';
import { MAX_BATCH_BYTES } from '../../commands/write-path/decide-batch.ts';

/**
 * Cuts events of a log, in its order, into groups that a store takes at once: a batch for each stream, no more text in a
 * group than one batch of the write path may have. Within a group the events of a stream stand together; across streams
 * the order changes by no more than that. Throws where an event is not what was hashed, or can't be read.
 */
export function groupsOf(events: readonly StoredEvent[]): readonly (readonly Batch[])[] {
  const groups: Batch[][] = [];
  let streams = new Map<string, NewEvent[]>();
  let bytes = 0;
  const close = (): void => {
    if (streams.size > 0) groups.push([...streams].map(([stream, events]) => batchOf(stream, events)));
    streams = new Map();
    bytes = 0;
  };
  for (const event of events) {
    const size = Buffer.byteLength(event.data) + Buffer.byteLength(event.metadata);
    if (bytes > 0 && bytes + size > MAX_BATCH_BYTES) close();
    const before = streams.get(event.stream);
    if (before === undefined) streams.set(event.stream, [newEvent(event)]);
    else before.push(newEvent(event));
    bytes += size;
  }
  close();
  return groups;
}

/** A batch of events that stand one behind the other in their stream. */
export function batchOf(stream: string, events: readonly NewEvent[]): Batch {
  const first = events[0];
  if (first === undefined) throw new Error(`a batch for ${stream} without events`);
  return { stream, expectedRevision: first.revision - 1, events, unclaimed: [] };
}

const factsSchema = z.object({ claims: metadataSchema.shape.claims, about: metadataSchema.shape.about });

/** What an append needs of a stored event: what it claims and is about stands in its metadata. */
function newEvent(event: StoredEvent): NewEvent {
  const { stream, revision, id, type, data, metadata, hash } = event;
  if (id !== eventId(hash) || !eventHash(event).equals(hash)) {
    throw new Error(`${stream}, revision ${revision}: it is not what was hashed; npm run verify says more`);
  }
  let facts: z.infer<typeof factsSchema>;
  try {
    facts = factsSchema.parse(JSON.parse(metadata));
  } catch (error) {
    throw new Error(`${stream}, revision ${revision}: its metadata can't be read`, { cause: error });
  }
  return { stream, revision, id, type, data, metadata, hash, claims: facts.claims, about: facts.about };
}
