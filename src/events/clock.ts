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

/** In ms. */
const MEASURE_EVERY = 60_000;
/** In ms: by how much this machine's clock and its steady one part until the offset is measured anew, at once. */
const PARTED = 1_000;
/** The middle of a measurement's round trip is its best guess; the quickest of a few trips is the best of these. */
const TRIPS = 3;

/**
 * Measures the offset and keeps it fresh. Rejects where the database doesn't answer the first time. Time goes on by the
 * machine's steady clock, so that a step of the other one ends nothing early and nothing late.
 */
export async function createClock(pool: pg.Pool): Promise<Clock> {
  let offset = await measure(pool);
  let apart = Date.now() - steady();
  const measureAgain = (): void => {
    apart = Date.now() - steady();
    measure(pool).then(
      (measured) => {
        offset = measured;
      },
      // The last offset holds until the database answers again.
      () => undefined,
    );
  };
  const timer = setInterval(measureAgain, MEASURE_EVERY);
  timer.unref();
  return {
    now: () => {
      const time = steady();
      // One of the two has stepped: the one when it was set, the other when the machine was asleep.
      if (Math.abs(Date.now() - time - apart) > PARTED) measureAgain();
      return time + offset;
    },
    close: () => clearInterval(timer),
  };
}

/** Milliseconds since some time, which go on whatever the machine's clock is set to. */
function steady(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}

async function measure(pool: pg.Pool): Promise<number> {
  let best = { trip: Number.POSITIVE_INFINITY, offset: 0 };
  for (let count = 0; count < TRIPS; count += 1) {
    const sent = steady();
    const { rows } = await pool.query<{ now: string }>(`select floor(extract(epoch from clock_timestamp()) * 1000)::text as now`);
    const received = steady();
    const trip = received - sent;
    if (trip < best.trip) best = { trip, offset: Number(rows[0]?.now) - Math.round((sent + received) / 2) };
  }
  return best.offset;
}
