import { readEvent, type Recorded, type StoredEvent } from '../../events/event-types.ts';
import { appOf } from '../../events/metadata.ts';
import type { Store } from '../../events/store.ts';
import type { Difference } from './compare-page.ts';
import type { Row } from './tables.ts';

/** An event that a row was made of: nothing that it says, but where it stands, what it is and when it was. */
export type Cause = { readonly stream: string; readonly revision: number; readonly type: string; readonly at: string | null };

/** Events of one stream that are read at a time, and that are looked through for one row. */
const PAGE = 500;
const MOST_READ = 20_000;
/** Of many causes the first one is told, and so many of the last. */
const LAST_TOLD = 4;

type Seen = { readonly causes: readonly Cause[]; readonly more: number };
type Log = Pick<Store, 'readStream' | 'readStreams'>;

/** The events that made a row what it is, in either generation; and how many more there are between the first and the last. */
export async function causesOf(store: Log, difference: Difference): Promise<Seen> {
  const { table, key, stream, live, other } = difference;
  switch (table) {
    case 'balances':
    case 'packages':
      return told(await eventsAt(store, stream, [revisionIn(live), revisionIn(other)]));
    case 'journal':
      return told(await eventsAt(store, stream, [revisionIn(key)]));
    case 'transactions':
    case 'reservations':
    case 'grants': {
      const made = revisionIn(key);
      return made === undefined ? told([]) : told(await search(store, stream, made, (event) => names(event, made)));
    }
    case 'usage_stats':
      return told(await search(store, stream, 0, (event) => counts(event, key)));
    default:
      return table satisfies never;
  }
}

function told(causes: readonly Cause[]): Seen {
  const more = Math.max(causes.length - LAST_TOLD - 1, 0);
  return { causes: more === 0 ? causes : [...causes.slice(0, 1), ...causes.slice(-LAST_TOLD)], more };
}

function revisionIn(row: Row | undefined): number | undefined {
  const revision = row?.['revision'];
  return typeof revision === 'number' && Number.isSafeInteger(revision) && revision >= 0 ? revision : undefined;
}

async function eventsAt(store: Log, stream: string, revisions: readonly (number | undefined)[]): Promise<readonly Cause[]> {
  const wanted = [...new Set(revisions)].filter((revision) => revision !== undefined).toSorted((a, b) => a - b);
  if (wanted.length === 0) return [];
  const events = await store.readStreams(wanted.map((revision) => ({ stream, from: revision, to: revision })));
  return events.map(causeOf).toSorted((a, b) => a.revision - b.revision);
}

/** Looks through a stream from a revision on, for so many events at the most. */
async function search(
  store: Log,
  stream: string,
  first: number,
  isWanted: (event: StoredEvent) => boolean,
): Promise<readonly Cause[]> {
  const found: Cause[] = [];
  for (let from = first; from < first + MOST_READ; from += PAGE) {
    const events = await store.readStream(stream, { from, limit: PAGE });
    found.push(...events.filter(isWanted).map(causeOf));
    if (events.length < PAGE) break;
  }
  return found;
}

/** What an event says of earlier ones stands in these members, or in lists of a revision and an amount. */
const NAMING = ['reservation', 'consumption', 'grant'];

/** Whether an event is the one at a revision, or is about it or its credits. */
function names(event: StoredEvent, revision: number): boolean {
  if (event.revision === revision) return true;
  const data = read(event)?.data as Row | undefined;
  return Object.entries(data ?? {}).some(
    ([name, value]) =>
      (NAMING.includes(name) && value === revision) ||
      (Array.isArray(value) && value.some((pair: unknown) => Array.isArray(pair) && pair[0] === revision)),
  );
}

/** Whether an event counts in a row of usage. */
function counts(stored: StoredEvent, { day, app, operation }: Row): boolean {
  const event = read(stored);
  if (event?.type !== 'CreditsConsumed' && event?.type !== 'CreditsRefunded') return false;
  const whose = event.data.appId ?? (event.type === 'CreditsRefunded' ? event.data.app : appOf(event.metadata.actor));
  return event.metadata.at.startsWith(String(day)) && whose === app && (event.data.operation ?? '') === operation;
}

function causeOf(event: StoredEvent): Cause {
  const { stream, revision, type } = event;
  return { stream, revision, type, at: read(event)?.metadata.at ?? null };
}

/** What can't be read is told as far as it can be. */
function read(event: StoredEvent): Recorded | undefined {
  try {
    return readEvent(event);
  } catch {
    return undefined;
  }
}
