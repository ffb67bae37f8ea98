import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { Position, PositionedEvent, Store } from '../store.ts';

/** How long a reader that hears nothing waits before it looks all the same, in milliseconds. */
const POLL = 1_000;
const RECONNECT = 250;

/**
 * Follows the log: reads on from the last position, and where there is nothing new waits for the notification that
 * every append sends. Notifications only shorten the wait. A lost connection costs at most a poll; the position lives
 * here, so nothing is passed over.
 */
export async function* follow(
  readAll: Store['readAll'],
  makeClient: () => pg.Client,
  { after, limit, signal }: { after: Position; limit: number; signal: AbortSignal },
): AsyncGenerator<readonly PositionedEvent[]> {
  const bell = ring(makeClient, signal);
  let position = after;
  while (!signal.aborted) {
    bell.reset();
    let events: readonly PositionedEvent[];
    try {
      events = await readAll({ after: position, limit });
    } catch {
      await pause(RECONNECT, signal);
      continue;
    }
    const last = events.at(-1);
    if (last === undefined) {
      await bell.wait(POLL);
      continue;
    }
    position = last.position;
    yield events;
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
      const ended = new Promise<void>((resolve) => {
        client.once('end', resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
      try {
        await client.connect();
        client.on('notification', strike);
        await client.query('listen ledger_appended');
        strike();
        await ended;
      } catch {
        // The server is away; reading goes on by polling meanwhile.
      }
      await client.end().catch(() => undefined);
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

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => undefined);
}
