/**
 * Arrays as Postgres reads them in binary parameters. The driver's own text arrays escape every quote of every JSON
 * text, which costs more than the rest of an append together.
 *
 * Format: https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/arrayfuncs.c (array_recv):
 * dimensions, has-nulls flag, element type, then length and lower bound of the one dimension, then each element
 * behind its length (-1 for null).
 */

const HEADER = 20;
const TYPE = { bool: 16, bytea: 17, int8: 20, int4: 23, text: 25, timestamptz: 1184, uuid: 2950 } as const;
/** In ms since 1970. */
const YEAR_2000 = Date.UTC(2000, 0, 1);

function header(elementType: number, length: number, bodyLength: number): Buffer {
  const buffer = Buffer.allocUnsafe(length === 0 ? 12 : HEADER + bodyLength);
  buffer.writeInt32BE(length === 0 ? 0 : 1, 0);
  // A hint that there may be nulls; Postgres goes by the elements' lengths.
  buffer.writeInt32BE(1, 4);
  buffer.writeInt32BE(elementType, 8);
  if (length > 0) {
    buffer.writeInt32BE(length, 12);
    buffer.writeInt32BE(1, 16);
  }
  return buffer;
}

/** A `text[]`; null elements allowed. */
export function textArray(values: readonly (string | null)[]): Buffer {
  let length = 0;
  const lengths = values.map((value) => {
    const bytes = value === null ? -1 : Buffer.byteLength(value, 'utf8');
    length += 4 + Math.max(bytes, 0);
    return bytes;
  });
  const buffer = header(TYPE.text, values.length, length);
  let offset = HEADER;
  values.forEach((value, index) => {
    offset = buffer.writeInt32BE(lengths[index] ?? -1, offset);
    if (value !== null) offset += buffer.write(value, offset, 'utf8');
  });
  return buffer;
}

/** A `bytea[]`; null elements allowed. */
export function byteaArray(values: readonly (Buffer | null)[]): Buffer {
  let length = 0;
  for (const value of values) length += 4 + (value?.length ?? 0);
  const buffer = header(TYPE.bytea, values.length, length);
  let offset = HEADER;
  for (const value of values) {
    offset = buffer.writeInt32BE(value?.length ?? -1, offset);
    if (value !== null) offset += value.copy(buffer, offset);
  }
  return buffer;
}

/** A `boolean[]`. */
export function boolArray(values: readonly boolean[]): Buffer {
  const buffer = header(TYPE.bool, values.length, values.length * 5);
  let offset = HEADER;
  for (const value of values) {
    offset = buffer.writeInt32BE(1, offset);
    offset = buffer.writeUInt8(value ? 1 : 0, offset);
  }
  return buffer;
}

/** A `uuid[]` from UUIDs as text. */
export function uuidArray(values: readonly string[]): Buffer {
  const buffer = header(TYPE.uuid, values.length, values.length * 20);
  let offset = HEADER;
  for (const value of values) {
    offset = buffer.writeInt32BE(16, offset);
    offset += buffer.write(value.replaceAll('-', ''), offset, 'hex');
  }
  return buffer;
}

/** A `bigint[]` from safe integers; null elements allowed. */
export function int8Array(values: readonly (number | null)[]): Buffer {
  return eightBytes(TYPE.int8, values);
}

/** A `timestamptz[]` from ISO 8601 texts; null elements allowed. Postgres counts microseconds from the year 2000. */
export function timeArray(values: readonly (string | null)[]): Buffer {
  const micros = values.map((value) => (value === null ? null : (Date.parse(value) - YEAR_2000) * 1_000));
  return eightBytes(TYPE.timestamptz, micros);
}

function eightBytes(type: number, values: readonly (number | null)[]): Buffer {
  const nulls = values.reduce<number>((count, value) => (value === null ? count + 1 : count), 0);
  const buffer = header(type, values.length, values.length * 12 - nulls * 8);
  let offset = HEADER;
  for (const value of values) {
    offset = buffer.writeInt32BE(value === null ? -1 : 8, offset);
    if (value === null) continue;
    offset = buffer.writeInt32BE(Math.floor(value / 2 ** 32), offset);
    offset = buffer.writeUInt32BE(value >>> 0, offset);
  }
  return buffer;
}

/** An `int[]`. */
export function int4Array(values: readonly number[]): Buffer {
  const buffer = header(TYPE.int4, values.length, values.length * 8);
  let offset = HEADER;
  for (const value of values) {
    offset = buffer.writeInt32BE(4, offset);
    offset = buffer.writeInt32BE(value, offset);
  }
  return buffer;
}
