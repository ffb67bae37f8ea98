import { Kysely, PostgresDialect } from 'kysely';
import type pg from 'pg';
import type { BalancesTable } from './balances.ts';
import type { CheckpointsTable, ParkedTable } from './checkpoints.ts';
import type { GrantsTable } from './grants.ts';
import type { JournalTable } from './journal.ts';
import type { PackagesTable } from './packages.ts';
import { preparing } from './prepared.ts';
import type { ReservationsTable } from './reservations.ts';
import type { AppliedTable } from './router-position.ts';
import type { TransactionsTable } from './transactions.ts';
import type { UsageStatsTable } from './usage-stats.ts';

/** The tables of all read models. */
export type ReadModels = {
  checkpoints: CheckpointsTable;
  parked: ParkedTable;
  applied: AppliedTable;
  balances: BalancesTable;
  transactions: TransactionsTable;
  reservations: ReservationsTable;
  grants: GrantsTable;
  usage_stats: UsageStatsTable;
  journal: JournalTable;
  packages: PackagesTable;
};

export type ReadDatabase = Kysely<ReadModels>;

/** The read models of the generation that the pool's connections look in. Destroying it ends the pool. */
export function readDatabase(pool: pg.Pool): ReadDatabase {
  return new Kysely<ReadModels>({ dialect: new PostgresDialect({ pool: preparing(pool) }) });
}
