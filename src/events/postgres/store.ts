import type pg from 'pg';
import {
  type Batch,
  type BatchResult,
  type Position,
  START,
  type Standing,
  type Store,
  StoreUnavailableError,
} from '../store.ts';
import type { StoredEvent } from '../event-types.ts';
import { appendGroup } from './append.ts';
import { byteaArray, int8Array, textArray } from './binary-arrays.ts';
import { EVENT_COLUMNS, type EventRow, toPositioned, toStored } from './rows.ts';
import { follow } from './subscription.ts';

/** How many events a conflict brings back at the most. Who is further behind loads the stream again. */
const MISSING_LIMIT = 1_000;

/** What else was written is written: where a conflict can't be read back, its batch alone learns nothing. */
const NOTHING_LEARNT = { missing: [], claimed: new Map<string, StoredEvent>() };

const LARGEST_REVISION = Number.MAX_SAFE_INTEGER;

/**
 * The store contract on Postgres. `pool` connects under the service's role; `makeClient` gives single connections for
 * subscriptions.
 */
export function createPostgresStore({ pool, makeClient }: { pool: pg.Pool; makeClient: () => pg.Client }): Store {
  async function rows<Row extends pg.QueryResultRow = EventRow>(name: string, text: string, values: unknown[]): Promise<Row[]> {
    try {
      return (await pool.query<Row>({ name, text, values })).rows;
    } catch (error) {
      throw new StoreUnavailableError(`the log can't be read (${name})`, { cause: error });
    }
  }

  const readStream: Store['readStream'] = async (stream, { from, direction = 'forward', limit }) => {
    const forward = direction === 'forward';
    const found = await rows(
      `read-stream-${direction}`,
      `select ${EVENT_COLUMNS} from ledger.streams s join ledger.events e on e.stream_id = s.id
       where s.name = $1 and e.revision ${forward ? '>=' : '<='} $2 order by e.revision ${forward ? '' : 'desc'} limit $3`,
      [stream, from ?? (forward ? 0 : LARGEST_REVISION), limit],
    );
    return found.map(toStored);
  };

  const readStreams: Store['readStreams'] = async (ranges) => {
    const found = await rows(
      'read-streams',
      `select ${EVENT_COLUMNS} from unnest($1::text[], $2::bigint[], $3::bigint[]) as r (name, low, high)
       join ledger.streams s on s.name = r.name
       cross join lateral (
         select * from ledger.events x where x.stream_id = s.id and x.revision between r.low and r.high order by x.revision
       ) e`,
      [textArray(ranges.map((r) => r.stream)), int8Array(ranges.map((r) => r.from)), int8Array(ranges.map((r) => r.to))],
    );
    return found.map(toStored);
  };

  const readAll: Store['readAll'] = async ({ after, limit }) => {
    const found = await rows(
      'read-all',
      `select ${EVENT_COLUMNS} from ledger.events e join ledger.streams s on s.id = e.stream_id
       where e.position > $1 order by e.position limit $2`,
      [after, limit],
    );
    return found.map(toPositioned);
  };

  const findClaims: Store['findClaims'] = async (stream, claims) => {
    if (claims.length === 0) return new Map();
    const found = await rows<EventRow & { claim: Buffer }>(
      'find-claims',
      `select c.claim, ${EVENT_COLUMNS} from unnest($2::bytea[]) as w (claim)
       join ledger.streams s on s.name = $1
       join ledger.claims c on c.stream_id = s.id and c.claim = w.claim
       join ledger.events e on e.stream_id = c.stream_id and e.revision = c.revision`,
      [stream, byteaArray(claims.map((claim) => Buffer.from(claim, 'base64url')))],
    );
    return new Map(found.map((row) => [row.claim.toString('base64url'), toStored(row)]));
  };

  const lastAbout: Store['lastAbout'] = async (stream, revisions) => {
    if (revisions.length === 0) return new Map();
    const found = await rows<EventRow & { asked: string; is_link: boolean }>(
      'last-about',
      `select r.asked, x.is_link, ${EVENT_COLUMNS} from unnest($2::bigint[]) as r (asked)
       join ledger.streams s on s.name = $1
       cross join lateral (
         select r.asked as revision, false as is_link
         union all select l.revision, true from ledger.links l where l.stream_id = s.id and l.about = r.asked
       ) x
       join ledger.events e on e.stream_id = s.id and e.revision = x.revision`,
      [stream, int8Array(revisions)],
    );
    return standings(found);
  };

  return {
    append: async (batches) => {
      const appended = await appendGroup(pool, batches);
      return Promise.all(
        batches.map(async (batch, index): Promise<BatchResult> => {
          if (appended[index]?.accepted === true) return { accepted: true, revision: batch.expectedRevision + batch.events.length };
          const contended = appended[index]?.contended === true;
          return { accepted: false, contended, ...(await conflictOf(batch).catch(() => NOTHING_LEARNT)) };
        }),
      );
    },
    readStream,
    readStreams,
    readAll,
    subscribe: (options) => follow(readAll, makeClient, options),
    findClaims,
    lastAbout,
    lastPosition: async (): Promise<Position> => {
      const [last] = await rows<{ position: string }>('last-position', 'select position from ledger.events order by position desc limit 1', []);
      return last?.position ?? START;
    },
  };

  /** What the caller didn't know: the events behind its expected revision, and those that hold its claims. */
  async function conflictOf(batch: Batch): Promise<{ missing: readonly StoredEvent[]; claimed: ReadonlyMap<string, StoredEvent> }> {
    // In this order: a claim that is found late stands in an event that is missing, never the other way round.
    const claimed = await findClaims(batch.stream, [...batch.events.flatMap((event) => event.claims), ...batch.unclaimed]);
    const missing = await readStream(batch.stream, { from: batch.expectedRevision + 1, limit: MISSING_LIMIT });
    return { missing, claimed };
  }
}

function standings(found: readonly (EventRow & { asked: string; is_link: boolean })[]): ReadonlyMap<number, Standing> {
  const events = new Map<number, StoredEvent>();
  const last = new Map<number, StoredEvent>();
  for (const row of found) (row.is_link ? last : events).set(Number(row.asked), toStored(row));
  return new Map([...events].map(([revision, event]) => [revision, { event, last: last.get(revision) }]));
}

