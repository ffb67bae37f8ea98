import type { StoredEvent } from '../event-types.ts';
import type { Standing, Store } from '../store.ts';
import { byteaArray, int8Array } from './binary-arrays.ts';
import type { Query } from './queries.ts';
import { EVENT_COLUMNS, type EventRow, toStored } from './rows.ts';

/** Looking up claims and links. */
export function factReader(query: Query): Pick<Store, 'findClaims' | 'lastAbout'> {
  return {
    async findClaims(stream, claims) {
      if (claims.length === 0) return new Map();
      // The limit keeps the planner from going through all claims of a stream for each that is asked for.
      const rows = await query<EventRow & { claim: Buffer }>(
        'find-claims',
        `select c.claim, ${EVENT_COLUMNS} from unnest($2::bytea[]) as w (claim)
         join ledger.streams s on s.name = $1
         cross join lateral (
           select c.claim, c.stream_id, c.revision from ledger.claims c where c.stream_id = s.id and c.claim = w.claim limit 1
         ) c
         join ledger.events e on e.stream_id = c.stream_id and e.revision = c.revision`,
        [stream, byteaArray(claims.map((claim) => Buffer.from(claim, 'base64url')))],
      );
      return new Map(rows.map((row) => [row.claim.toString('base64url'), toStored(row)]));
    },

    async lastAbout(stream, revisions) {
      if (revisions.length === 0) return new Map();
      const rows = await query<AboutRow>(
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
      return standings(rows);
    },
  };
}

type AboutRow = EventRow & { asked: string; is_link: boolean };

function standings(rows: readonly AboutRow[]): ReadonlyMap<number, Standing> {
  const events = new Map<number, StoredEvent>();
  const last = new Map<number, StoredEvent>();
  for (const row of rows) (row.is_link ? last : events).set(Number(row.asked), toStored(row));
  return new Map([...events].map(([revision, event]) => [revision, { event, last: last.get(revision) }]));
}
