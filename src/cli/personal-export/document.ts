import type pg from 'pg';
import { accountStream } from '../../events/account-events.ts';
import { MICRO_PER_CREDIT } from '../../events/amounts.ts';
import type { Personal } from '../../events/personal.ts';
import type { Store } from '../../events/store.ts';
import { GENERATION_LOCK } from '../../projections/generations.ts';
import { eventPages, headOf, pagesOf, type Row } from './pages.ts';

type Options = {
  readonly pool: pg.Pool;
  readonly store: Pick<Store, 'readStream' | 'readStreams'>;
  readonly personal: Personal;
  readonly user: string;
};

/** As `set local` takes it: whoever reads the document may take their time over a page. */
const PATIENCE = '10min';

/**
 * All that the ledger holds about a person, as the text of one JSON document, piece by piece: memory holds a page of rows
 * however long their history is. Its rows are one moment of the database; its events, from whichever store keeps them, go
 * as far as the stream went right then. Amounts are micro-credits, as they are stored; words are decrypted, and null where
 * their key was erased.
 *
 * The rows of read models are found by their columns, so that none is forgotten that comes later.
 */
export async function* exportOf({ pool, ...whose }: Options): AsyncGenerator<string> {
  const client = await pool.connect();
  let isDone = false;
  try {
    // Nobody switches to another generation meanwhile: one that is younger than our moment would be empty in it.
    await client.query('select pg_advisory_lock_shared($1)', [GENERATION_LOCK]);
    await client.query('begin transaction isolation level repeatable read read only');
    await client.query(`set local idle_in_transaction_session_timeout = '${PATIENCE}'`);
    yield* partsOf(client, whose);
    await client.query('commit');
    await client.query('select pg_advisory_unlock_shared($1)', [GENERATION_LOCK]);
    isDone = true;
  } finally {
    // Transaction and lock end with their connection where the reader has gone, or something failed.
    client.release(!isDone);
  }
}

type Whose = Omit<Options, 'pool'>;

async function* partsOf(client: pg.ClientBase, { store, personal, user }: Whose): AsyncGenerator<string> {
  const stream = accountStream(user);
  const words = wordsOf(personal, stream);
  // The database's moment comes first: what its rows know of the stream, the stream holds.
  const moment = await momentOf(client);
  const head = await headOf(store, stream);
  const account = head === undefined ? null : { stream, revision: head };
  yield `{\n${member('userId', user)},\n${member('exportedAt', moment)},\n${member('microCreditsPerCredit', MICRO_PER_CREDIT)},\n`;
  yield `${member('account', account)},\n`;
  yield* listOf('keys', pagesOf(client, KEYS, [user]));
  for (const { table, key, column } of await readModelsOf(client)) {
    const query = `select * from read_model.${table} where ${column} = $1 order by ${key}`;
    yield ',\n';
    yield* listOf(camelCase(table), opened(pagesOf(client, query, [column === 'stream' ? stream : user]), words));
  }
  yield ',\n';
  yield* listOf('events', opened(eventPages(store, stream, head), words));
  yield '\n}\n';
}

const KEYS = 'select id, created_at, erased_at, erased_by from ledger.personal_keys where subject = $1 order by created_at, id';

async function momentOf(client: pg.ClientBase): Promise<string | undefined> {
  const { rows } = await client.query<{ now: Date }>('select now()');
  return rows[0]?.now.toISOString();
}

type ReadModel = { readonly table: string; readonly key: string; readonly column: 'user_id' | 'stream' };

/** Every table of read models that knows users or streams, with its primary key. Names come quoted. */
async function readModelsOf(client: pg.ClientBase): Promise<readonly ReadModel[]> {
  const { rows } = await client.query<ReadModel>(
    `select quote_ident(c.relname) as table, string_agg(quote_ident(k.attname), ', ' order by n.place) as key, w.column
     from pg_class c
     join pg_index i on i.indrelid = c.oid and i.indisprimary
     cross join unnest(i.indkey::int[]) with ordinality as n (number, place)
     join pg_attribute k on k.attrelid = c.oid and k.attnum = n.number
     cross join lateral (
       select max(a.attname::text) as column from pg_attribute a
       where a.attrelid = c.oid and a.attname in ('user_id', 'stream') and not a.attisdropped
     ) w
     where c.relnamespace = 'read_model'::regnamespace and c.relkind in ('r', 'p') and w.column is not null
     group by c.relname, w.column order by c.relname`,
  );
  return rows;
}

type Words = (rows: readonly Row[]) => Promise<readonly Row[]>;

/** Decrypts what stands under `personal`, in a row itself or in an event's data. */
function wordsOf(personal: Personal, stream: string): Words {
  return async (rows) => {
    const ciphertexts = rows.map((row) => ciphertextIn(row) ?? ciphertextIn(row['data']));
    const said = await personal.open(ciphertexts.map((ciphertext) => ({ stream, ciphertext: ciphertext ?? null })));
    return rows.map((row, index) => {
      if (ciphertexts[index] === undefined) return row;
      const words = { personal: said[index] ?? null };
      return ciphertextIn(row) === undefined ? { ...row, data: { ...(row['data'] as Row), ...words } } : { ...row, ...words };
    });
  };
}

function ciphertextIn(value: unknown): string | undefined {
  const personal = typeof value === 'object' && value !== null ? (value as Row)['personal'] : undefined;
  return typeof personal === 'string' ? personal : undefined;
}

async function* opened(pages: AsyncIterable<readonly Row[]>, words: Words): AsyncGenerator<readonly Row[]> {
  for await (const rows of pages) yield await words(rows);
}

/** A member whose value is a list, a row a line. */
async function* listOf(name: string, pages: AsyncIterable<readonly Row[]>): AsyncGenerator<string> {
  yield `${JSON.stringify(name)}: [`;
  let isFirst = true;
  for await (const rows of pages) {
    const lines = rows.map((row) => JSON.stringify(camelCased(row)));
    yield `${isFirst ? '\n' : ',\n'}${lines.join(',\n')}`;
    isFirst = false;
  }
  yield isFirst ? ']' : '\n]';
}

function member(name: string, value: unknown): string {
  return `${JSON.stringify(name)}: ${JSON.stringify(value)}`;
}

function camelCased(row: Row): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [camelCase(name), value]));
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
