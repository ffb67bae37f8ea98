import { type ColumnType, type RawBuilder, sql } from 'kysely';
import { type Micro, micro } from '../events/amounts.ts';
import { int4Array, int8Array, textArray, timeArray } from '../events/postgres/binary-arrays.ts';

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

/** A sum of amounts from a column: what nothing bounds is told as the largest that is a number, 9,007,199,254 credits. */
export function sumOf(column: string): Micro {
  return micro(Math.min(Number(column), Number.MAX_SAFE_INTEGER));
}

const ARRAYS = {
  text: { of: textArray, type: sql.raw('text[]') },
  bigint: { of: int8Array, type: sql.raw('bigint[]') },
  int: { of: int4Array, type: sql.raw('int[]') },
  timestamptz: { of: timeArray, type: sql.raw('timestamptz[]') },
} as const;

/** The type of each column of some rows. */
type ColumnTypes<Row> = { readonly [Name in keyof Row & string]: keyof typeof ARRAYS };

/**
 * Rows as the table `r` of a statement: one binary array a column, so that one statement writes them all however many
 * there are, and its text is always the same.
 */
export function rowsOf<Row extends object>(rows: readonly Row[], types: ColumnTypes<Row>): RawBuilder<unknown> {
  const names = Object.keys(types) as (keyof Row & string)[];
  const arrays = names.map((name) => {
    const { of, type } = ARRAYS[types[name]];
    // The rows' types say that what stands in a column is what its array takes.
    return sql`${(of as (values: readonly unknown[]) => Buffer)(rows.map((row) => row[name]))}::${type}`;
  });
  return sql`unnest(${sql.join(arrays)}) as r (${sql.raw(names.join(', '))})`;
}
