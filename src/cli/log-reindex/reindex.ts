import pg from 'pg';
import type { StoredEvent } from '../../events/event-types.ts';
import type { FactIndex, Span } from '../../events/kurrent/fact-index.ts';
import { factsOf } from '../../events/kurrent/tails.ts';
import { type Position, START, type Store } from '../../events/store.ts';
import { patiently } from '../log-access/patiently.ts';

/** How far the index has come: events that were gone through, those of them that it didn't know, and the position. */
export type Indexed = { readonly events: number; readonly noted: number; readonly position: Position };

type Parts = {
  readonly store: Pick<Store, 'readAll' | 'readStreams'>;
  readonly index: Pick<FactIndex, 'find' | 'note'>;
  readonly onProgress?: (indexed: Indexed) => void;
};

/** Events that are read at a time. An event is 256 KiB at the most. */
const PAGE = 500;

/** In ms: how long to wait for those who use the index right now. */
const LOCK_WAIT = 10_000;

/**
 * Makes the index of claims and links know every event up to the present end of the log, from wherever it is. Goes
 * through the whole log and writes what is missing; memory holds a page. May be broken off and begun again, and may run
 * beside the service and beside itself: what is known already stays as it is. Throws StoreUnavailableError where the log
 * or Postgres can't be reached for about half a minute.
 */
export async function reindex({ store, index, onProgress = () => undefined }: Parts): Promise<Indexed> {
  let indexed: Indexed = { events: 0, noted: 0, position: START };
  for (;;) {
    const page = await patiently(() => store.readAll({ after: indexed.position, limit: PAGE }));
    const last = page.at(-1);
    if (last === undefined) return indexed;
    if (last.position === indexed.position) throw new Error(`the log gives position ${last.position} again and again`);
    const noted = await notePage({ store, index }, page);
    indexed = { events: indexed.events + page.length, noted: indexed.noted + noted, position: last.position };
    onProgress(indexed);
  }
}

/** Takes in what isn't known of a page. Returns how many events that were. */
async function notePage({ store, index }: Parts, page: readonly StoredEvent[]): Promise<number> {
  const streams = new Map<string, StoredEvent[]>();
  for (const event of page) {
    const before = streams.get(event.stream);
    if (before === undefined) streams.set(event.stream, [event]);
    else before.push(event);
  }
  // Nothing is looked for but how far each stream is known: whoever has a turn is none of our business.
  const wanted = [...streams.keys()].map((stream) => ({ stream, claims: [], hasTurn: true }));
  const known = await patiently(() => index.find(wanted));
  let noted = 0;
  const spans = wanted.flatMap(({ stream }, place) => {
    const upTo = known[place]?.upTo ?? -1;
    const unknown = (streams.get(stream) ?? []).filter(({ revision }) => revision > upTo);
    noted += unknown.length;
    return unknown.length === 0 ? [] : [spanOf(stream, unknown)];
  });
  if (spans.length === 0) return 0;
  const reached = await patiently(() => index.note(spans));
  for (const [place, span] of spans.entries()) await complete({ store, index }, span, reached[place] ?? -1);
  return noted;
}

/** Where something before a span isn't known, as after somebody has emptied the index meanwhile: reads it from the stream. */
async function complete({ store, index }: Parts, { stream, high }: Span, upTo: number): Promise<void> {
  for (let reached = upTo; reached < high; ) {
    const events = await patiently(() => store.readStreams([{ stream, from: reached + 1, to: reached + PAGE }]));
    const last = events.at(-1);
    if (last === undefined) throw new Error(`${stream} ends before revision ${high}, which the log holds`);
    await patiently(() => index.note([spanOf(stream, events)]));
    reached = last.revision;
  }
}

function spanOf(stream: string, events: readonly StoredEvent[]): Span {
  const low = (events[0]?.revision ?? 0) - 1;
  return { stream, low, high: events.at(-1)?.revision ?? low, ...factsOf(events) };
}

/**
 * Empties the index, as the owner of its tables. Until a stream is indexed again the service reads the stream itself for
 * every claim and link, and answers 503 where that is more than 10,000 events. Nothing is lost: all of it is in the log.
 */
export async function emptyIndex(ownerUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl, application_name: 'mana-credits reindex' });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(`set lock_timeout = ${LOCK_WAIT}`);
    // Ids go on counting, so that nobody who knows an old one meets another stream under it.
    await client.query('truncate kurrent.streams, kurrent.claims, kurrent.links continue identity');
  } finally {
    await client.end();
  }
}
