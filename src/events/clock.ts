import type pg from 'pg';

/**
 * One clock for all processes: the database's. Each process measures how far its own is off, at start and every
 * minute, and adds that.
 */
export type Clock = {
  /** Milliseconds since 1970, by the database's clock. */
  now(): number;
  close(): void;
};

const MEASURE_EVERY = 60_000;
/** The middle of a measurement's round trip is its best guess; the quickest of a few trips is the best of these. */
const TRIPS = 3;

/** Measures the offset and keeps it fresh. Rejects where the database doesn't answer the first time. */
export async function createClock(pool: pg.Pool): Promise<Clock> {
  let offset = await measure(pool);
  const timer = setInterval(() => {
    measure(pool).then(
      (measured) => {
        offset = measured;
      },
      // The last offset holds until the database answers again.
      () => undefined,
    );
  }, MEASURE_EVERY);
  timer.unref();
  return { now: () => Date.now() + offset, close: () => clearInterval(timer) };
}

async function measure(pool: pg.Pool): Promise<number> {
  let best = { trip: Number.POSITIVE_INFINITY, offset: 0 };
  for (let count = 0; count < TRIPS; count += 1) {
    const sent = Date.now();
    const { rows } = await pool.query<{ now: string }>(`select floor(extract(epoch from clock_timestamp()) * 1000)::text as now`);
    const received = Date.now();
    const trip = received - sent;
    if (trip < best.trip) best = { trip, offset: Number(rows[0]?.now) - Math.round((sent + received) / 2) };
  }
  return best.offset;
}
