import type pg from 'pg';
import { linkedAbort } from '../linked-abort.ts';
import { pause } from '../pause.ts';
import { within } from '../within.ts';
import type { Advance, Position } from '../store.ts';
import type { ReadAdvances } from './read-log.ts';

/** How long a reader that hears nothing waits before it looks all the same, in milliseconds. */
const POLL = 1_000;
const RECONNECT = 250;
/** In ms: a connection whose other end is gone says no goodbye. */
const LET_GO = 1_000;

/**
 * Follows the log: reads on from the last position, and where there is nothing new waits for the notification that
 * every append sends. Notifications only shorten the wait. A lost connection costs at most a poll; the position lives
 * here, so nothing is passed over.
 */
export async function* follow(
  readAdvances: ReadAdvances,
  makeClient: () => pg.Client,
  { after, limit, signal }: { after: Position; limit: number; signal: AbortSignal },
): AsyncGenerator<readonly Advance[]> {
  // Who leaves without a word leaves no connection behind.
  const left = linkedAbort(signal);
  const bell = ring(makeClient, left.signal);
  let position = after;
  try {
    while (!signal.aborted) {
      bell.reset();
      const events = await readAdvances({ after: position, limit }).catch(() => undefined);
      const last = events?.at(-1);
      if (events === undefined) await pause(RECONNECT, signal);
      else if (last === undefined) await bell.wait(POLL);
      else {
        position = last.position;
        yield events;
      }
    }
  } finally {
    left.abort();
  }
}

/** A bell that rings at every append, and when its own connection had to be made anew. */
function ring(makeClient: () => pg.Client, signal: AbortSignal) {
  let rung = false;
  let wake: (() => void) | undefined;
  const strike = () => {
    rung = true;
    wake?.();
  };
  signal.addEventListener('abort', strike, { once: true });

  const listen = async () => {
    while (!signal.aborted) {
      const client = makeClient();
      const { promise: ended, end } = untilEnded(client);
      signal.addEventListener('abort', end, { once: true });
      try {
        await client.connect();
        client.on('notification', strike);
        await client.query('listen ledger_appended');
        strike();
        await ended;
      } catch {
        // The server is away; reading goes on by polling meanwhile.
      }
      signal.removeEventListener('abort', end);
      await within(LET_GO, client.end()).catch(() => undefined);
      await pause(RECONNECT, signal);
    }
  };
  void listen();

  return {
    reset: () => {
      rung = false;
    },
    wait: (milliseconds: number) =>
      new Promise<void>((resolve) => {
        if (rung || signal.aborted) return resolve();
        const timer = setTimeout(() => wake?.(), milliseconds);
        wake = () => {
          clearTimeout(timer);
          wake = undefined;
          resolve();
        };
      }),
  };
}

function untilEnded(client: pg.Client): { promise: Promise<void>; end: () => void } {
  let end = () => undefined as void;
  const promise = new Promise<void>((resolve) => {
    end = resolve;
    client.once('end', resolve);
  });
  return { promise, end };
}
