import type pg from 'pg';

/**
 * Turns on a stream, across processes: whoever loses its head again and again takes one, and ledger.append() refuses
 * the others meanwhile. For fairness only: whoever doesn't get a turn in time goes on as if it had it, and expected revisions
 * alone keep the log right. A turn lives as long as its connection.
 */
export type StreamLocks = {
  /** Waits for the stream's turn, a bounded time. Resolves to what gives it back, or undefined where there was none. */
  acquire(stream: string): Promise<(() => void) | undefined>;
};

/** How long to wait for a turn, in ms. */
const WAIT = 1_000;

export function createStreamLocks(pool: pg.Pool): StreamLocks {
  return {
    async acquire(stream) {
      let client: pg.PoolClient;
      try {
        client = await pool.connect();
      } catch {
        return undefined;
      }
      try {
        await client.query(`set lock_timeout = ${WAIT}`);
        await client.query('select pg_advisory_lock(hashtextextended($1, 0))', [stream]);
      } catch {
        client.release(true);
        return undefined;
      }
      return () => {
        client.query('select pg_advisory_unlock(hashtextextended($1, 0))', [stream]).then(
          () => client.release(),
          () => client.release(true),
        );
      };
    },
  };
}
