import type pg from 'pg';
import { factsOf } from '../../events/kurrent/tails.ts';
import type { Store } from '../../events/store.ts';
import { patiently } from '../log-access/patiently.ts';
import { placeOf, type SoundEvent } from './event-audit.ts';
import type { Findings } from './finding.ts';

/*
 * The index of claims and links of a log in KurrentDB (migrations/0009). Up to the revision to which a stream is known
 * there it must say what the events say. Each event's facts are looked up as it comes by (no less), and the rows that were
 * met so are counted: where a stream has other rows besides (no more), those are read one by one with their events.
 */

const PAGE = 2_000;
const BEFORE_ALL = '-9223372036854775808';

/** The two tables alike: what a row is found by, and what of an event's facts stands there. */
const CLAIMS = {
  table: 'claims',
  key: 'claim',
  type: 'bytea',
  sort: Buffer.alloc(0) as unknown,
} as const;
const LINKS = { table: 'links', key: 'about', type: 'bigint', sort: BEFORE_ALL as unknown } as const;

type Kind = typeof CLAIMS | typeof LINKS;
type Counts = { claims: number; links: number };
type Parts = { readonly client: pg.ClientBase; readonly store: Pick<Store, 'readStreams'>; readonly findings: Findings };

export class FactIndexAudit {
  /** Rows of the index that were gone through. */
  readonly counted: Counts = { claims: 0, links: 0 };
  readonly #client: pg.ClientBase;
  readonly #store: Pick<Store, 'readStreams'>;
  readonly #findings: Findings;
  /** By stream, the rows of the index that an event stands for. */
  readonly #met = new Map<string, Counts>();

  constructor({ client, store, findings }: Parts) {
    this.#client = client;
    this.#store = store;
    this.#findings = findings;
  }

  /** Takes the moment of the index that is audited. */
  async begin(): Promise<void> {
    await this.#client.query('select from kurrent.streams limit 1');
  }

  /** Checks that what these events claim and are about stands in the index, as far as it knows their streams. */
  async checkPage(events: readonly SoundEvent[]): Promise<void> {
    await this.#checkClaimsOf(events);
    await this.#checkLinksOf(events);
  }

  /**
   * Checks that the index knows no stream further than it goes (`ends`, the last revision by stream) and that nothing
   * else stands in it. Returns how many events it knows.
   */
  async end(ends: ReadonlyMap<string, number>): Promise<number> {
    const indexed = await this.#checkStreams(ends);
    this.counted.claims = await this.#checkRows(CLAIMS);
    this.counted.links = await this.#checkRows(LINKS);
    return indexed;
  }

  async #checkClaimsOf(events: readonly SoundEvent[]): Promise<void> {
    const wanted = events.flatMap((one) => [...new Set(one.event.metadata.claims)].map((value) => ({ ...one, value })));
    const { rows } = await this.#client.query<FoundRow>(
      `select w.ord, s.revision as known, x.revision from unnest($1::text[], $2::bytea[]) with ordinality as w (name, claim, ord)
       left join kurrent.streams s on s.name = w.name
       left join kurrent.claims x on x.stream_id = s.id and x.claim = w.claim`,
      [wanted.map(({ event }) => event.stream), wanted.map(({ value }) => Buffer.from(value, 'base64url'))],
    );
    for (const { ord, known, revision } of rows) {
      const one = wanted[Number(ord) - 1];
      if (one === undefined) continue;
      const { event, row, value } = one;
      const isKnown = event.revision <= Number(known ?? -1);
      if (Number(revision ?? -1) === event.revision) {
        this.#meet(event.stream, 'claims');
        if (isKnown) continue;
        this.#findings.add(
          placeOf(row),
          `its claim ${value} stands in the index, which knows its stream up to revision ${known}`,
        );
      } else if (revision !== null) {
        this.#findings.add(placeOf(row), `its claim ${value} stands in the index as that of revision ${revision}`);
      } else if (isKnown) this.#findings.add(placeOf(row), `its claim ${value} does not stand in the index`);
    }
  }

  async #checkLinksOf(events: readonly SoundEvent[]): Promise<void> {
    const wanted = events.flatMap((one) => [...new Set(one.event.metadata.about)].map((value) => ({ ...one, value })));
    const { rows } = await this.#client.query<FoundRow>(
      `select w.ord, s.revision as known, x.revision from unnest($1::text[], $2::bigint[]) with ordinality as w (name, about, ord)
       left join kurrent.streams s on s.name = w.name
       left join kurrent.links x on x.stream_id = s.id and x.about = w.about`,
      [wanted.map(({ event }) => event.stream), wanted.map(({ value }) => value)],
    );
    for (const { ord, known, revision } of rows) {
      const one = wanted[Number(ord) - 1];
      if (one === undefined) continue;
      const { event, row, value } = one;
      const isKnown = event.revision <= Number(known ?? -1);
      const link = Number(revision ?? -1);
      if (link === event.revision) this.#meet(event.stream, 'links');
      if (isKnown && link < event.revision) {
        const what = revision === null ? 'no link in the index says so' : `the index names the earlier revision ${revision}`;
        this.#findings.add(placeOf(row), `it is about revision ${value}, but ${what}`);
      } else if (!isKnown && link === event.revision) {
        const what = `which knows its stream up to revision ${known}`;
        this.#findings.add(placeOf(row), `that it is about revision ${value} stands in the index, ${what}`);
      }
    }
  }

  #meet(stream: string, kind: keyof Counts): void {
    const counts = this.#met.get(stream) ?? { claims: 0, links: 0 };
    counts[kind] += 1;
    this.#met.set(stream, counts);
  }

  async #checkStreams(ends: ReadonlyMap<string, number>): Promise<number> {
    let indexed = 0;
    for (let after = BEFORE_ALL; ; ) {
      const { rows } = await this.#client.query<{ id: string; name: string; revision: string }>(
        `select id, name, revision from kurrent.streams where id > $1 order by id limit ${PAGE}`,
        [after],
      );
      const last = rows.at(-1);
      if (last === undefined) return indexed;
      for (const { name, revision } of rows) {
        const [known, end] = [Number(revision), ends.get(name) ?? -1];
        indexed += Math.min(known, end) + 1;
        if (known <= end) continue;
        const what = `its last event is at revision ${end}: what stood behind it was cut off`;
        this.#findings.add({ stream: name, revision: end + 1 }, `the index knows the stream up to revision ${known}, ${what}`);
      }
      after = last.id;
    }
  }

  /** Goes through a table of the index, a stream after the other. Returns how many rows it has. */
  async #checkRows(kind: Kind): Promise<number> {
    let count = 0;
    let current: { readonly id: string; readonly name: string | null; rows: number } | undefined;
    for (let after: readonly unknown[] = [BEFORE_ALL, kind.sort]; ; ) {
      const { rows } = await this.#client.query<IndexRow>(
        `select x.stream_id, s.name as stream, x.${kind.key} as key, x.revision from kurrent.${kind.table} x
         left join kurrent.streams s on s.id = x.stream_id
         where (x.stream_id, x.${kind.key}) > ($1::bigint, $2::${kind.type}) order by x.stream_id, x.${kind.key} limit ${PAGE}`,
        [...after],
      );
      for (const row of rows) {
        if (current?.id !== row.stream_id) {
          if (current !== undefined) await this.#checkCount(kind, current);
          current = { id: row.stream_id, name: row.stream, rows: 0 };
        }
        current.rows += 1;
        if (row.stream === null) this.#refuse(kind, row, 'there is no such stream in the index');
      }
      count += rows.length;
      const last = rows.at(-1);
      if (last === undefined) break;
      after = [last.stream_id, last.key];
    }
    if (current !== undefined) await this.#checkCount(kind, current);
    return count;
  }

  /** Where a stream has more rows than its events stand for, finds which. */
  async #checkCount(
    kind: Kind,
    { id, name, rows: count }: { readonly id: string; readonly name: string | null; readonly rows: number },
  ): Promise<void> {
    if (name === null || count === (this.#met.get(name)?.[kind.table] ?? 0)) return;
    for (let after = kind.sort; ; ) {
      const { rows } = await this.#client.query<IndexRow>(
        `select x.stream_id, $3::text as stream, x.${kind.key} as key, x.revision from kurrent.${kind.table} x
         where x.stream_id = $1 and x.${kind.key} > $2 order by x.${kind.key} limit ${PAGE}`,
        [id, after, name],
      );
      const last = rows.at(-1);
      if (last === undefined) return;
      await this.#checkEach(kind, name, rows);
      after = last.key;
    }
  }

  async #checkEach(kind: Kind, stream: string, rows: readonly IndexRow[]): Promise<void> {
    const revisions = [...new Set(rows.map(({ revision }) => Number(revision)))];
    const ranges = revisions.map((revision) => ({ stream, from: revision, to: revision }));
    const events = await patiently(() => this.#store.readStreams(ranges));
    const metadata = new Map(events.map((event) => [event.revision, event]));
    for (const row of rows) {
      const event = metadata.get(Number(row.revision));
      if (event === undefined) this.#refuse(kind, row, 'there is no such event');
      else if (!factsOf([event])[kind.table].some(([value]) => String(value) === valueOf(row))) {
        this.#refuse(kind, row, 'the event says nothing of it');
      }
    }
  }

  #refuse(kind: Kind, row: IndexRow, why: string): void {
    const what =
      kind.table === 'claims'
        ? `the claim ${valueOf(row)} stands in the index as that of this revision`
        : `the index names this revision as the last about revision ${valueOf(row)}`;
    this.#findings.add({ stream: row.stream, revision: Number(row.revision) }, `${what}, but ${why}`);
  }
}

type FoundRow = { readonly ord: string; readonly known: string | null; readonly revision: string | null };

type IndexRow = {
  readonly stream_id: string;
  readonly stream: string | null;
  readonly key: Buffer | string;
  readonly revision: string;
};

/** A claim in base64url, or the revision that a link is about. */
function valueOf({ key }: IndexRow): string {
  return typeof key === 'string' ? key : key.toString('base64url');
}
