import type { Position } from '../events/store.ts';
import type { BigintColumn } from './columns.ts';
import type { ReadDatabase } from './database.ts';

/** One row: every event up to this position is applied or parked. */
export type AppliedTable = { only_row: boolean; position: BigintColumn };

/** The position up to which everything is applied or parked. */
export async function readAppliedPosition(db: ReadDatabase): Promise<Position> {
  return (await db.selectFrom('applied').select('position').executeTakeFirstOrThrow()).position;
}

/** Says that everything up to a position is applied or parked. Never goes back. */
export async function writeAppliedPosition(db: ReadDatabase, position: Position): Promise<void> {
  await db
    .updateTable('applied')
    .set({ position: Number(position) })
    .where('position', '<', position)
    .execute();
}
