import { z } from 'zod';

/** Times beyond these have no four digits for their year. */
const [EARLIEST, LATEST] = [Date.UTC(1970, 0, 1), Date.UTC(9999, 0, 1)];

/** A time (ISO 8601) or a whole day (`YYYY-MM-DD`, UTC), in a query. */
export const timeOrDaySchema = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })], 'must be a day or a time in ISO 8601')
  .refine((text) => Date.parse(text) >= EARLIEST && Date.parse(text) < LATEST, 'must lie in the years from 1970 to 9998');

const DAY = 24 * 60 * 60 * 1_000;

/** When a range begins that is given by a time or a day. */
export function rangeStart(from: string): Date {
  return new Date(from);
}

/** When a range is over that is given by a time, or by its last day. */
export function rangeEnd(to: string): Date {
  const isDay = !to.includes('T');
  return new Date(Date.parse(to) + (isDay ? DAY : 0));
}

/** The day in which a moment lies, in UTC. */
export function dayOf(moment: Date): string {
  return moment.toISOString().slice(0, 'YYYY-MM-DD'.length);
}
