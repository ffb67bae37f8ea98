import { type LedgerEvent, type Recorded, readEvent, type StoredEvent } from '../../events/event-types.ts';
import type { Snapshot, Snapshots } from '../../events/postgres/snapshots.ts';
import type { Store } from '../../events/store.ts';
import type { Decider } from '../decider.ts';
import { gatherLoads, type Loaded, type Loader, type Progress } from './gather-loads.ts';
import { advance, emptyStream, type StreamState } from './stream-state.ts';

/** How many events of one stream a round trip brings at the most. */
const PAGE = 1_000;

/**
 * Loads streams from snapshot and tail, those that are wanted at the same time in one round trip. The cost grows with
 * the tail, not with the history. A stream that can't be read fails alone.
 */
export function createLoader<State, Event extends LedgerEvent>(
  decider: Decider<State, never, Event>,
  { store, snapshots }: { store: Pick<Store, 'readStreams'>; snapshots: Snapshots },
): Loader<State> {
  const blank: Loaded<State> = { state: emptyStream(decider.initialState), snapshotAt: undefined };
  return gatherLoads(loadMany);

  async function loadMany(streams: readonly string[]): Promise<ReadonlyMap<string, Progress<State>>> {
    const found = await snapshots.read(streams);
    const progress = new Map<string, Progress<State>>();
    // A snapshot's own event comes along, to hold the snapshot's hash against it.
    const first = await readPage(store, streams, (stream) => found.get(stream)?.revision ?? 0);
    let open = streams.filter((stream) => {
      const events = first.get(stream) ?? [];
      const snapshot = found.get(stream);
      const anchor = snapshot && anchored<State>(snapshot, events[0]);
      if (anchor !== undefined) progress.set(stream, fold({ state: anchor, snapshotAt: anchor.revision }, events.slice(1)));
      // A snapshot that doesn't belong to the events is not believed: the stream is read from its beginning.
      else progress.set(stream, fold(blank, snapshot === undefined ? events : []));
      if ('error' in (progress.get(stream) ?? {})) return false;
      return events.length === PAGE || (snapshot !== undefined && anchor === undefined);
    });
    while (open.length > 0) {
      const page = await readPage(store, open, (stream) => (progress.get(stream) as Loaded<State>).state.revision + 1);
      for (const stream of open) progress.set(stream, fold(progress.get(stream) ?? blank, page.get(stream) ?? []));
      open = open.filter((stream) => page.get(stream)?.length === PAGE && !('error' in (progress.get(stream) ?? {})));
    }
    return progress;
  }

  function fold(progress: Progress<State>, events: readonly StoredEvent[]): Progress<State> {
    if ('error' in progress) return progress;
    try {
      const state = events.reduce((at, event) => advance(decider, at, readEvent(event) as Recorded<Event>), progress.state);
      return { ...progress, state };
    } catch (error) {
      return { error };
    }
  }
}

/** The state that a snapshot holds, where the event at its revision has the hash that it names. */
function anchored<State>(snapshot: Snapshot, event: StoredEvent | undefined): StreamState<State> | undefined {
  const { revision, hash } = snapshot;
  if (event === undefined || event.revision !== revision || event.hash.toString('base64url') !== hash) return undefined;
  try {
    return { state: JSON.parse(snapshot.state) as State, revision, hash, at: Date.parse(readEvent(event).metadata.at) };
  } catch {
    // Read from its beginning instead, where an event that can't be read is that stream's trouble.
    return undefined;
  }
}

async function readPage(
  store: Pick<Store, 'readStreams'>,
  streams: readonly string[],
  from: (stream: string) => number,
): Promise<ReadonlyMap<string, readonly StoredEvent[]>> {
  const ranges = streams.map((stream) => ({ stream, from: from(stream), to: from(stream) + PAGE - 1 }));
  const pages = new Map<string, StoredEvent[]>();
  for (const event of await store.readStreams(ranges)) {
    const page = pages.get(event.stream);
    if (page === undefined) pages.set(event.stream, [event]);
    else page.push(event);
  }
  // Streams come in any order; within one the order is kept.
  return pages;
}
