import { sql, type Transaction } from 'kysely';
import type { Recorded } from '../events/event-types.ts';
import { legsOf } from '../events/legs.ts';
import { type BigintColumn, rowsOf, type TimeColumn } from './columns.ts';
import type { ReadModels } from './database.ts';
import type { Events } from './events-of.ts';

/** An entry: the legs of an event, each an account and what it gains, in the event's order. */
export type JournalTable = {
  stream: string;
  revision: BigintColumn;
  accounts: string[];
  amounts: string[];
  at: TimeColumn;
};

/** As it is sent: an array of arrays would have to be a rectangle, so that each goes as its text. */
type EntryRow = {
  readonly stream: string;
  readonly revision: number;
  readonly accounts: string;
  readonly amounts: string;
  readonly at: string;
};

const COLUMNS = { stream: 'text', revision: 'bigint', accounts: 'text', amounts: 'text', at: 'timestamptz' } as const;

/** The accounts that a stream has of its own: the row says whose, so that the name doesn't have to. */
const OWN = ['available', 'reserved', 'frozen', 'debt'];

/** Writes the double entries of events of any stream, with the legs as the event lists them. */
export async function applyJournal(tx: Transaction<ReadModels>, { all }: Events): Promise<void> {
  const rows = all.map(entryOf).filter((row) => row !== undefined);
  if (rows.length === 0) return;
  await sql`insert into journal (stream, revision, accounts, amounts, at)
    select stream, revision, accounts::text[], amounts::bigint[], at from ${rowsOf(rows, COLUMNS)}`.execute(tx);
}

function entryOf(event: Recorded): EntryRow | undefined {
  const { stream, revision } = event;
  const legs = legsOf(event);
  if (legs.length === 0) return undefined;
  const accounts = legs.map(({ account }) => quoted(OWN.find((own) => account === `${own}:${stream}`) ?? account));
  const amounts = legs.map(({ amount }) => amount);
  return { stream, revision, accounts: `{${accounts.join()}}`, amounts: `{${amounts.join()}}`, at: event.metadata.at };
}

/** An element of an array as Postgres reads it: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO. */
function quoted(element: string): string {
  return `"${element.replaceAll(/["\\]/g, '\\$&')}"`;
}
