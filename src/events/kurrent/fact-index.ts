import type pg from 'pg';
import { boolArray, byteaArray, int4Array, int8Array, textArray } from '../postgres/binary-arrays.ts';
import { StoreUnavailableError } from '../store.ts';

/*
 * What is unique in a stream, and which event is the last about which: the server knows neither, so it stands in an
 * index in Postgres (migrations/0009). Each stream is known up to some revision; what stands behind that is read from
 * the stream itself.
 */

/** What events claim (hashes in base64url) and are about, by the revision of the event that does. */
export type Facts = {
  readonly claims: readonly (readonly [claim: string, revision: number])[];
  readonly links: readonly (readonly [about: number, revision: number])[];
};

/** The facts of a stream's events behind `low`, up to `high`. */
export type Span = Facts & { readonly stream: string; readonly low: number; readonly high: number };

/** What is looked for in a stream. */
export type Wanted = { readonly stream: string; readonly claims: readonly string[]; readonly hasTurn: boolean };

/** What the index knows of a stream: up to which revision, and who holds the claims that were looked for. */
export type Known = {
  readonly upTo: number;
  readonly claimed: ReadonlyMap<string, number>;
  /** Whether somebody else has the turn on the stream. */
  readonly contended: boolean;
};

export type FactIndex = {
  /** For each stream in turn, in one query for all. */
  readonly find: (wanted: readonly Wanted[]) => Promise<readonly Known[]>;
  /** Up to where the index knows a stream, and the last event that it knows about each of some revisions. */
  readonly findLinks: (stream: string, abouts: readonly number[]) => Promise<{ upTo: number; last: ReadonlyMap<number, number> }>;
  /** Takes in spans. Returns up to where each of their streams is known now: less where something before is missing. */
  readonly note: (spans: readonly Span[]) => Promise<readonly number[]>;
};

/**
 * One statement, and so one moment: what is known up to a revision is known whole. The limit keeps the planner from going
 * through all claims of a stream for each that is asked for, which it takes for cheap where most streams have few.
 */
const FIND = `
  select false as is_claim, n.ord::int as ord, coalesce(s.revision, -1) as revision,
    not n.turn and not pg_try_advisory_xact_lock_shared(hashtextextended(n.name, 0)) as contended
  from unnest($1::text[], $2::bool[]) with ordinality as n (name, turn, ord) left join kurrent.streams s on s.name = n.name
  union all
  select true, w.ord::int, c.revision, false
  from unnest($3::int[], $4::bytea[]) with ordinality as w (place, claim, ord)
  join kurrent.streams s on s.name = ($1::text[])[w.place]
  cross join lateral (select c.revision from kurrent.claims c where c.stream_id = s.id and c.claim = w.claim limit 1) c`;

const FIND_LINKS = `
  select null as about, s.revision from kurrent.streams s where s.name = $1
  union all
  select l.about, l.revision from kurrent.streams s
  join kurrent.links l on l.stream_id = s.id and l.about = any ($2::bigint[]) where s.name = $1`;

/** The index in Postgres, on a pool under the service's role. All of it throws StoreUnavailableError alone. */
export function createFactIndex(pool: pg.Pool): FactIndex {
  return {
    async find(wanted) {
      const claims = wanted.flatMap((one, place) => one.claims.map((claim) => ({ place, claim })));
      const rows = await query<FoundRow>(pool, 'kurrent-find', FIND, [
        textArray(wanted.map(({ stream }) => stream)),
        boolArray(wanted.map(({ hasTurn }) => hasTurn)),
        int4Array(claims.map(({ place }) => place + 1)),
        byteaArray(claims.map(({ claim }) => Buffer.from(claim, 'base64url'))),
      ]);
      const known = wanted.map(() => ({ upTo: -1, claimed: new Map<string, number>(), contended: false }));
      for (const { is_claim: isClaim, ord, revision, contended } of rows) {
        const claim = isClaim ? claims[ord - 1] : undefined;
        const one = known[claim?.place ?? ord - 1];
        if (one === undefined) continue;
        if (claim !== undefined) one.claimed.set(claim.claim, Number(revision));
        else Object.assign(one, { upTo: Number(revision), contended });
      }
      return known;
    },

    async findLinks(stream, abouts) {
      const rows = await query<{ about: string | null; revision: string }>(pool, 'kurrent-find-links', FIND_LINKS, [
        stream,
        int8Array(abouts),
      ]);
      const last = new Map<number, number>();
      let upTo = -1;
      for (const { about, revision } of rows) {
        if (about === null) upTo = Number(revision);
        else last.set(Number(about), Number(revision));
      }
      return { upTo, last };
    },

    async note(spans) {
      const claims = spans.flatMap((span, index) =>
        span.claims.map(([claim, revision]) => ({ span: index + 1, claim, revision })),
      );
      const links = spans.flatMap((span, index) => span.links.map(([about, revision]) => ({ span: index + 1, about, revision })));
      const rows = await query<{ revisions: string[] }>(
        pool,
        'kurrent-note',
        'select kurrent.note($1,$2,$3, $4,$5,$6, $7,$8,$9) as revisions',
        [
          textArray(spans.map(({ stream }) => stream)),
          int8Array(spans.map(({ low }) => low)),
          int8Array(spans.map(({ high }) => high)),
          int4Array(claims.map(({ span }) => span)),
          int8Array(claims.map(({ revision }) => revision)),
          byteaArray(claims.map(({ claim }) => Buffer.from(claim, 'base64url'))),
          int4Array(links.map(({ span }) => span)),
          int8Array(links.map(({ revision }) => revision)),
          int8Array(links.map(({ about }) => about)),
        ],
      );
      return (rows[0]?.revisions ?? []).map(Number);
    },
  };
}

type FoundRow = { is_claim: boolean; ord: number; revision: string; contended: boolean };

async function query<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  name: string,
  text: string,
  values: unknown[],
): Promise<Row[]> {
  try {
    return (await pool.query<Row>({ name, text, values })).rows;
  } catch (error) {
    throw new StoreUnavailableError(`the index of the log can't be used (${name})`, { cause: error });
  }
}
