import { type Advance, type Position, START, type Store } from '../store.ts';
import { int8Array, textArray } from './binary-arrays.ts';
import type { Query } from './queries.ts';
import { EVENT_COLUMNS, type EventRow, toPositioned, toStored } from './rows.ts';

const LARGEST_REVISION = Number.MAX_SAFE_INTEGER;

/*
 * A page of a stream: as many revisions as events are wanted, since there is none missing. Without both ends the planner
 * reads and sorts all the rest of a long stream for one page.
 */
const FROM_HERE = 'e.revision >= $2 and e.revision < $2::bigint + $3::bigint';
const UP_TO_HERE = 'e.revision <= least($2, s.revision) and e.revision > least($2, s.revision) - $3::bigint';

/** Which events stand behind a position, at most `limit`, in commit order. */
export type ReadAdvances = (options: { readonly after: Position; readonly limit: number }) => Promise<readonly Advance[]>;

type LogReader = Pick<Store, 'readStream' | 'readStreams' | 'readAll' | 'lastPosition'> & { readonly readAdvances: ReadAdvances };

/** Reading streams and the whole log. */
export function logReader(query: Query): LogReader {
  return {
    async readStream(stream, { from, direction = 'forward', limit }) {
      const forward = direction === 'forward';
      const rows = await query<EventRow>(
        `read-stream-${direction}`,
        `select ${EVENT_COLUMNS} from ledger.streams s join ledger.events e on e.stream_id = s.id
         where s.name = $1 and ${forward ? FROM_HERE : UP_TO_HERE} order by e.revision ${forward ? '' : 'desc'} limit $3`,
        [stream, from ?? (forward ? 0 : LARGEST_REVISION), limit],
      );
      return rows.map(toStored);
    },

    async readStreams(ranges) {
      const rows = await query<EventRow>(
        'read-streams',
        `select ${EVENT_COLUMNS} from unnest($1::text[], $2::bigint[], $3::bigint[]) as r (name, low, high)
         join ledger.streams s on s.name = r.name
         cross join lateral (
           select * from ledger.events x where x.stream_id = s.id and x.revision between r.low and r.high order by x.revision
         ) e`,
        [textArray(ranges.map((r) => r.stream)), int8Array(ranges.map((r) => r.from)), int8Array(ranges.map((r) => r.to))],
      );
      return rows.map(toStored);
    },

    async readAll({ after, limit }) {
      const rows = await query<EventRow>(
        'read-all',
        `select ${EVENT_COLUMNS} from ledger.events e join ledger.streams s on s.id = e.stream_id
         where e.position > $1 order by e.position limit $2`,
        [after, limit],
      );
      return rows.map(toPositioned);
    },

    async readAdvances({ after, limit }) {
      const rows = await query<Record<keyof Advance, string>>(
        'read-advances',
        `select s.name as stream, e.revision, e.id, e.position from ledger.events e join ledger.streams s on s.id = e.stream_id
         where e.position > $1 order by e.position limit $2`,
        [after, limit],
      );
      return rows.map(({ stream, revision, id, position }) => ({ stream, revision: Number(revision), id, position }));
    },

    async lastPosition(): Promise<Position> {
      const rows = await query<{ position: string }>(
        'last-position',
        'select position from ledger.events order by position desc limit 1',
        [],
      );
      return rows[0]?.position ?? START;
    },
  };
}
