import { sql, type Transaction } from 'kysely';
import type { Micro } from '../events/amounts.ts';
import type { Recorded } from '../events/event-types.ts';
import { legsOf } from '../events/legs.ts';
import { type BigintColumn, rowsOf, type TimeColumn } from './columns.ts';
import type { ReadModels } from './database.ts';

export type JournalTable = {
  stream: string;
  revision: BigintColumn;
  leg: number;
  account: string;
  amount: BigintColumn;
  at: TimeColumn;
};

type LegRow = {
  readonly stream: string;
  readonly revision: number;
  readonly leg: number;
  readonly account: string;
  readonly amount: Micro;
  readonly at: string;
};

const COLUMNS = {
  stream: 'text',
  revision: 'bigint',
  leg: 'int',
  account: 'text',
  amount: 'bigint',
  at: 'timestamptz',
} as const;

/** The accounts that a stream has of its own: the row says whose, so that the name doesn't have to. */
const OWN = ['available', 'reserved', 'frozen', 'debt'];

/** Writes the double-entry legs of events of any stream, numbered as the event lists them. */
export async function applyJournal(tx: Transaction<ReadModels>, events: readonly Recorded[]): Promise<void> {
  const rows = events.flatMap(legRowsOf);
  if (rows.length === 0) return;
  await sql`insert into journal (${sql.raw(Object.keys(COLUMNS).join(', '))})
    select * from ${rowsOf(rows, COLUMNS)}`.execute(tx);
}

function legRowsOf(event: Recorded): LegRow[] {
  const { stream, revision } = event;
  return legsOf(event).map(({ account, amount }, leg) => {
    const name = OWN.find((own) => account === `${own}:${stream}`) ?? account;
    return { stream, revision, leg, account: name, amount, at: event.metadata.at };
  });
}
