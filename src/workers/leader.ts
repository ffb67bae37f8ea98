import type pg from 'pg';
import type { Logger } from 'pino';
import { linkedAbort } from '../events/linked-abort.ts';
import { pause } from '../events/pause.ts';
import { within } from '../events/within.ts';

/** In ms. */
const RETRY = 1_000;
/** In ms: a connection whose other end is gone says no goodbye. */
const LET_GO = 1_000;

/**
 * Runs something in one process at a time. The leader is whoever holds a Postgres advisory lock; the lock lives as
 * long as its connection, so a killed leader is followed by another within moments, one whose machine is gone within a
 * minute (see serviceSettings). Where the connection is lost the duty is told to stop, and the election begins anew.
 */
export function lead(
  { lock, makeClient, log }: { readonly lock: number; readonly makeClient: () => pg.Client; readonly log: Logger },
  duty: (signal: AbortSignal) => Promise<void>,
): { close(): Promise<void> } {
  const stop = new AbortController();

  const term = async (): Promise<void> => {
    const client = makeClient();
    const over = linkedAbort(stop.signal);
    const { signal } = over;
    client.once('end', () => over.abort());
    try {
      await client.connect();
      while (!signal.aborted) {
        const { rows } = await client.query<{ got: boolean }>('select pg_try_advisory_lock($1) as got', [lock]);
        if (rows[0]?.got === true) await duty(signal);
        else await pause(RETRY, signal);
      }
    } finally {
      over.abort();
      await within(LET_GO, client.end()).catch(() => undefined);
    }
  };

  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await term().catch((error: unknown) => log.warn({ err: error }, 'a term as leader ended early'));
      await pause(RETRY, stop.signal);
    }
  };
  const running = run();
  return {
    close: async () => {
      stop.abort();
      await running;
    },
  };
}
