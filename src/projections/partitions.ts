import { hash } from 'node:crypto';

/** Into how many parts the streams fall for projectors: as many can work at once. */
export const PARTITIONS = 4;

/** The part that a stream falls into: always the same. */
export function partitionOf(stream: string): number {
  return hash('md5', stream, 'buffer').readUInt32BE(0) % PARTITIONS;
}
