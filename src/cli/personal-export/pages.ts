import pg from 'pg';
import type { StoredEvent } from '../../events/event-types.ts';
import type { Store } from '../../events/store.ts';
import { patiently } from '../log-access/patiently.ts';

/** A row of whatever table, by the names of its columns. */
export type Row = { readonly [column: string]: unknown };

/** Rows at a time: an event is 256 KiB at the most. */
const PAGE = 200;

/** Types of columns: https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
const INT8 = 20;
const DATE = 1082;

const usual = pg.types.getTypeParser as (type: number, format?: string) => unknown;

/** How columns are read here: bigints as numbers, since every one of the ledger's is a safe integer, and days as they stand. */
const types: pg.CustomTypesConfig = {
  getTypeParser(type: number, format?: 'text' | 'binary'): unknown {
    if (type === INT8) return integerOf;
    return type === DATE ? (day: string) => day : usual(type, format);
  },
};

/**
 * The rows of a query, a non-empty page at a time, through a cursor: memory holds a page. The connection is in a
 * transaction, and nothing else asks it for another list meanwhile.
 */
export async function* pagesOf(client: pg.ClientBase, query: string, values: readonly unknown[]): AsyncGenerator<readonly Row[]> {
  await client.query(`declare page no scroll cursor for ${query}`, [...values]);
  for (;;) {
    const { rows } = await client.query<Row>({ text: `fetch ${PAGE} from page`, types });
    if (rows.length === 0) break;
    yield rows;
  }
  await client.query('close page');
}

/** The last revision of a stream; undefined where there is none. */
export async function headOf(store: Pick<Store, 'readStream'>, stream: string): Promise<number | undefined> {
  const [head] = await patiently(() => store.readStream(stream, { direction: 'backward', limit: 1 }));
  return head?.revision;
}

/** A stream's events up to a revision, oldest first, a non-empty page at a time: memory holds a page. */
export async function* eventPages(
  store: Pick<Store, 'readStreams'>,
  stream: string,
  head: number | undefined,
): AsyncGenerator<readonly Row[]> {
  if (head === undefined) return;
  for (let from = 0; from <= head; from += PAGE) {
    // Of a range the store reads no more than is in it, however long the stream.
    const range = { stream, from, to: Math.min(from + PAGE - 1, head) };
    const events = await patiently(() => store.readStreams([range]));
    if (events.length > 0) yield events.map(rowOf);
  }
}

function rowOf({ revision, id, type, data, metadata, hash }: StoredEvent): Row {
  return {
    revision,
    id,
    type,
    data: JSON.parse(data) as unknown,
    metadata: JSON.parse(metadata) as unknown,
    hash: hash.toString('hex'),
  };
}

function integerOf(column: string): number {
  const integer = Number(column);
  if (!Number.isSafeInteger(integer)) throw new Error(`no safe integer: ${column}`);
  return integer;
}
