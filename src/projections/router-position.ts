import { sql } from 'kysely';
import type { Position } from '../events/store.ts';
import type { ReadDatabase } from './database.ts';

/** One row: every event up to this position is applied or parked. */
export type AppliedTable = { only_row: boolean; position: string };

/** The position up to which everything is applied or parked. */
export async function readAppliedPosition(db: ReadDatabase): Promise<Position> {
  return (await db.selectFrom('applied').select('position').executeTakeFirstOrThrow()).position;
}

/** Says that everything up to a position is applied or parked. Never goes back. */
export async function writeAppliedPosition(db: ReadDatabase, position: Position): Promise<void> {
  await sql`update applied set position = ${position}::text
    where split_part(position, '/', 1)::numeric <= split_part(${position}::text, '/', 1)::numeric`.execute(db);
}

/** How far one position lies behind another, in whatever the store counts: events, or bytes of its log. */
export function positionsBetween(from: Position, to: Position): number {
  return Number(leading(to) - leading(from));
}

/** Positions may be two numbers; the first one orders them. */
function leading(position: Position): bigint {
  return BigInt(position.split('/', 1)[0] ?? position);
}
