import { randomUUID } from 'node:crypto';
import type { Json } from '../../../src/events/canonical.ts';
import { NO_HASH, seal } from '../../../src/events/chain.ts';
import {
  type Batch,
  type BatchFailure,
  type BatchResult,
  type NewEvent,
  NO_STREAM,
  type Position,
  type Store,
} from '../../../src/events/store.ts';
import type { StoredEvent } from '../../../src/events/event-types.ts';
import { sha256 } from '../../../src/events/canonical.ts';

/** A name that no other test uses: the log of a suite is shared. */
export function newStream(name = 'stream'): string {
  return `${name}-${randomUUID()}`;
}

/** A claim as a store takes it. */
export function claimOf(name: string): string {
  return sha256(name).toString('base64url');
}

/** What a test says of an event; a store looks into neither data nor metadata. */
export type Draft = { readonly data?: Json; readonly claims?: readonly string[]; readonly about?: readonly number[] };

/** Events for a stream, sealed one behind the other, after `behind` (left out: the first of the stream). */
export function sealed(
  stream: string,
  drafts: readonly Draft[],
  behind?: { revision: number; hash: Buffer },
): readonly NewEvent[] {
  let revision = behind?.revision ?? NO_STREAM;
  let prevHash = behind?.hash.toString('base64url') ?? NO_HASH;
  return drafts.map(({ data = {}, claims = [], about = [] }) => {
    revision += 1;
    const event = seal({
      stream,
      revision,
      type: 'Tested',
      data,
      metadata: { about: [...about], at: randomUUID(), claims: [...claims], prevHash },
    });
    prevHash = event.hash.toString('base64url');
    return { ...event, claims, about };
  });
}

/** A batch of new events behind an event of the stream, or for a stream that has none yet. */
export function batchOf(stream: string, drafts: readonly Draft[], behind?: { revision: number; hash: Buffer }): Batch {
  return { stream, expectedRevision: behind?.revision ?? NO_STREAM, events: sealed(stream, drafts, behind), unclaimed: [] };
}

/** A batch that writes nothing and confirms that the head is where it is expected. */
export function confirmation(stream: string, expectedRevision: number, unclaimed: readonly string[] = []): Batch {
  return { stream, expectedRevision, events: [], unclaimed };
}

/** So many events with nothing to them. */
export function plain(count: number): readonly Draft[] {
  return Array.from({ length: count }, () => ({}));
}

/** Appends a batch that must be taken. Returns its events. */
export async function written(store: Store, batch: Batch): Promise<readonly NewEvent[]> {
  const [result] = await store.append([batch]);
  if (result === undefined || 'failed' in result || !result.accepted)
    throw new Error(`a batch for ${batch.stream} was not taken`);
  return batch.events;
}

/** The one result of an append that must be refused. */
export function refusal(results: readonly (BatchResult | BatchFailure)[]): Extract<BatchResult, { accepted: false }> {
  const [result] = results;
  if (results.length !== 1 || result === undefined || 'failed' in result || result.accepted)
    throw new Error('the batch was taken');
  return result;
}

/** What reading events back must give. */
export function stored(events: readonly NewEvent[]): readonly StoredEvent[] {
  return events.map(({ stream, revision, id, type, data, metadata, hash }) => ({
    stream,
    revision,
    id,
    type,
    data,
    metadata,
    hash,
  }));
}

/** Reads the log to its present end, a few events at a time. */
export async function readToEnd(
  store: Store,
  after: Position,
  limit = 7,
): Promise<readonly (StoredEvent & { position: Position })[]> {
  const all: (StoredEvent & { position: Position })[] = [];
  let position = after;
  for (;;) {
    const page = await store.readAll({ after: position, limit });
    const last = page.at(-1);
    if (last === undefined) return all;
    all.push(...page);
    position = last.position;
  }
}

/** The last of some events, which there must be. */
export function lastOf<Item>(items: readonly Item[]): Item {
  const last = items.at(-1);
  if (last === undefined) throw new Error('nothing there');
  return last;
}
