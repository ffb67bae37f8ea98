import type { StoredEvent } from '../event-types.ts';
import { type Batch, NO_STREAM, type Standing, StoreUnavailableError } from '../store.ts';
import type { FactIndex } from './fact-index.ts';
import type { IndexWriter } from './index-writer.ts';
import type { KurrentReader, StreamRange } from './reader.ts';
import { factsOf, type KnownTail, type Tails } from './tails.ts';

/** How many events behind the index are read at the most; a stream with more is taken into the index first. */
const LONGEST_TAIL = 10_000;
const PAGE = 1_000;
/** Streams that are taken into the index at once, behind those who wait for nothing of it. */
const CATCHING_UP_AT_ONCE = 4;

/** What stands against a batch before anybody asks the server. */
export type Checked =
  | { readonly contended: boolean; readonly claims: readonly string[] }
  | { readonly failed: StoreUnavailableError }
  /** The stream ends before the revision behind which the batch was decided. */
  | { readonly ends: true };

type Parts = {
  readonly index: FactIndex;
  readonly tails: Tails;
  readonly writer: IndexWriter;
  readonly reader: Pick<KurrentReader, 'readRanges'>;
};

/** Finds claims and links in the index, in memory, and in what a stream holds beyond both. */
export class FactFinder {
  readonly #parts: Parts;
  readonly #catchingUp = new Set<string>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Looks for the claims of many batches, each up to its expected revision: what stands behind that makes the append
   * fail by itself. One query for all, and a read only of streams where somebody else wrote what the index lacks.
   */
  async check(batches: readonly Batch[]): Promise<readonly Checked[]> {
    const { index, tails, reader } = this.#parts;
    const wanted = batches.map((batch) => ({
      stream: batch.stream,
      claims: claimsToCheck(batch),
      hasTurn: batch.hasTurn === true,
    }));
    const known = await index.find(wanted);
    // What memory knows is taken at this very moment: the index may take it over while the rest is read.
    const seen = wanted.map(({ stream }, place) => tails.behind(stream, known[place]?.upTo ?? NO_STREAM));
    const gaps = batches.map(({ stream, expectedRevision }, place): StreamRange => {
      const from = seen[place]?.high ?? NO_STREAM;
      const isTooLong = expectedRevision - from > LONGEST_TAIL;
      const count = wanted[place]?.claims.length === 0 || isTooLong ? 0 : Math.max(expectedRevision - from, 0);
      return { stream, from: from + 1, direction: 'forward', count };
    });
    const read = await reader.readRanges(gaps);
    return batches.map(({ stream, expectedRevision }, place): Checked => {
      const { claims = [] } = wanted[place] ?? {};
      const { claimed, contended = false } = known[place] ?? {};
      const tail = seen[place];
      const gap = gaps[place];
      if (claims.length === 0) return { contended, claims };
      if (tail === undefined || gap === undefined) throw new Error('the index did not answer for every stream');
      if (expectedRevision - tail.high > LONGEST_TAIL) return { failed: this.#tooLong(stream, tail.high) };
      const rest = this.#keep(gap, read[place] ?? []);
      if (rest.high < Math.max(expectedRevision, tail.high)) return { ends: true };
      const stands = (claim: string) => claimed?.has(claim) === true || tail.claims.has(claim) || rest.claims.has(claim);
      return { contended, claims: claims.filter(stands) };
    });
  }

  /** Notes what was written: known here at once, and to the index soon. */
  wrote({ stream, expectedRevision, events }: Batch): void {
    if (events.length === 0) return;
    const span = {
      stream,
      low: expectedRevision,
      high: expectedRevision + events.length,
      claims: events.flatMap(({ claims, revision }) => claims.map((claim) => [claim, revision] as const)),
      links: events.flatMap(({ about, revision }) => about.map((one) => [one, revision] as const)),
    };
    this.#parts.tails.add(span);
    this.#parts.writer.offer(span);
  }

  /** Those events that hold one of some claims, of all that stands in a stream right behind a revision. Notes them all. */
  heldBy(
    events: readonly StoredEvent[],
    { stream, after, claims }: { readonly stream: string; readonly after: number; readonly claims: readonly string[] },
  ): ReadonlyMap<string, StoredEvent> {
    const held = this.#keep({ stream, from: after + 1, direction: 'forward', count: events.length }, events).claims;
    const found = new Map<string, StoredEvent>();
    for (const claim of claims) {
      const revision = held.get(claim);
      if (revision !== undefined) found.set(claim, present(events[revision - after - 1], stream, revision));
    }
    return found;
  }

  /** The events that hold claims, as far as the stream goes now. */
  async findClaims(stream: string, claims: readonly string[]): Promise<ReadonlyMap<string, StoredEvent>> {
    if (claims.length === 0) return new Map();
    const [known] = await this.#parts.index.find([{ stream, claims, hasTurn: true }]);
    const tail = await this.#readTail(stream, known?.upTo ?? NO_STREAM);
    const revisions = new Map<string, number>();
    for (const claim of claims) {
      const revision = known?.claimed.get(claim) ?? tail.claims.get(claim);
      if (revision !== undefined) revisions.set(claim, revision);
    }
    const events = await this.#eventsAt(stream, [...revisions.values()]);
    return new Map([...revisions].map(([claim, revision]) => [claim, present(events.get(revision), stream, revision)]));
  }

  /** For each revision that exists: its event and the last one about it, as far as the stream goes now. */
  async lastAbout(stream: string, revisions: readonly number[]): Promise<ReadonlyMap<number, Standing>> {
    if (revisions.length === 0) return new Map();
    const { upTo, last } = await this.#parts.index.findLinks(stream, revisions);
    const tail = await this.#readTail(stream, upTo);
    const links = new Map<number, number>();
    for (const revision of revisions) {
      const link = tail.links.get(revision) ?? last.get(revision);
      if (link !== undefined) links.set(revision, link);
    }
    const events = await this.#eventsAt(stream, [...revisions, ...links.values()]);
    const standings = new Map<number, Standing>();
    for (const revision of revisions) {
      const event = events.get(revision);
      const link = links.get(revision);
      if (event !== undefined) {
        standings.set(revision, { event, last: link === undefined ? undefined : present(events.get(link), stream, link) });
      }
    }
    return standings;
  }

  /** What the stream holds behind a revision, from memory and read to its end. Throws StoreUnavailableError where that is too much. */
  async #readTail(stream: string, upTo: number): Promise<KnownTail> {
    const known = this.#parts.tails.behind(stream, upTo);
    const claims = new Map(known.claims);
    const links = new Map(known.links);
    for (let high = known.high; ; ) {
      if (high - known.high >= LONGEST_TAIL) throw this.#tooLong(stream, known.high);
      const range: StreamRange = { stream, from: high + 1, direction: 'forward', count: PAGE };
      const [events = []] = await this.#parts.reader.readRanges([range]);
      const page = this.#keep(range, events);
      for (const [claim, revision] of page.claims) claims.set(claim, revision);
      for (const [about, revision] of page.links) links.set(about, revision);
      ({ high } = page);
      if (events.length < PAGE) return { high, claims, links };
    }
  }

  /** Keeps what was read of a stream, and offers it to the index. */
  #keep({ stream, from = 0 }: StreamRange, events: readonly StoredEvent[]): KnownTail {
    const low = from - 1;
    const last = events.at(-1);
    if (last === undefined) return { high: low, claims: new Map(), links: new Map() };
    const span = { stream, low, high: last.revision, ...factsOf(events) };
    this.#parts.tails.add(span);
    this.#parts.writer.offer(span);
    return { high: span.high, claims: new Map(span.claims), links: new Map(span.links) };
  }

  async #eventsAt(stream: string, revisions: readonly number[]): Promise<ReadonlyMap<number, StoredEvent>> {
    const asked = [...new Set(revisions)];
    const read = await this.#parts.reader.readRanges(
      asked.map((from) => ({ stream, from, direction: 'forward', count: 1 }) as const),
    );
    return new Map(read.flat().map((event) => [event.revision, event]));
  }

  /** Nobody waits for so much to be read: it goes on behind, and the next who ask are answered one day. */
  #tooLong(stream: string, upTo: number): StoreUnavailableError {
    if (!this.#catchingUp.has(stream) && this.#catchingUp.size < CATCHING_UP_AT_ONCE) {
      this.#catchingUp.add(stream);
      void this.#catchUp(stream, upTo)
        .catch(() => undefined)
        .finally(() => this.#catchingUp.delete(stream));
    }
    return new StoreUnavailableError(`${stream} has more than ${LONGEST_TAIL} events behind the index of claims`);
  }

  async #catchUp(stream: string, upTo: number): Promise<void> {
    for (let low = upTo; ; ) {
      const [events = []] = await this.#parts.reader.readRanges([{ stream, from: low + 1, direction: 'forward', count: PAGE }]);
      const last = events.at(-1);
      if (last === undefined) return;
      await this.#parts.index.note([{ stream, low, high: last.revision, ...factsOf(events) }]);
      low = last.revision;
    }
  }
}

/** What may stand already: not the keys that this process has just made up. */
function claimsToCheck({ events, unclaimed, fresh = [] }: Batch): readonly string[] {
  const claims = events.flatMap((event) => event.claims).filter((claim) => !fresh.includes(claim));
  return unclaimed.length === 0 ? claims : [...claims, ...unclaimed];
}

function present(event: StoredEvent | undefined, stream: string, revision: number): StoredEvent {
  if (event === undefined) throw new StoreUnavailableError(`${stream}@${revision} is in the index and can't be read`);
  return event;
}
