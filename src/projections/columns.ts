import type { ColumnType } from 'kysely';
import { type Micro, micro } from '../events/amounts.ts';

/** A bigint column: the driver reads it as text, we write it as a number. */
export type BigintColumn = ColumnType<string, number, number>;

/** A nullable bigint column. */
export type NullableBigintColumn = ColumnType<string | null, number | null, number | null>;

/** A time column: read as Date, written as ISO 8601. */
export type TimeColumn = ColumnType<Date, string, string>;

export type NullableTimeColumn = ColumnType<Date | null, string | null, string | null>;

/** An amount from a bigint column. */
export function microOf(column: string): Micro {
  return micro(Number(column));
}

/** Rows as one JSON parameter: one statement writes them all, however many there are. */
export function jsonRows(rows: readonly object[]): string {
  return JSON.stringify(rows);
}
