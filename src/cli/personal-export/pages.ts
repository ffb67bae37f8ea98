import pg from 'pg';

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

function integerOf(column: string): number {
  const integer = Number(column);
  if (!Number.isSafeInteger(integer)) throw new Error(`no safe integer: ${column}`);
  return integer;
}
