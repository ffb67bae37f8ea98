import { linkedAbort } from '../linked-abort.ts';
import { pause } from '../pause.ts';
import { type Advance, type Position, START } from '../store.ts';
import type { Connection, Subscription } from './connection.ts';
import type { Names } from './names.ts';
import { isEvent, type KurrentReader } from './reader.ts';
import type { Sighting } from './protocol.ts';

/** In ms: how long nothing may be heard until the log is looked at all the same. */
const QUIET = 2_000;
/** In ms: how long to wait before subscribing again, from the second time on that nothing came in between. */
const AGAIN = 250;

/**
 * Follows the log: subscribes behind the last position, and again wherever the server drops the subscription, which it
 * does whenever a burst overflows the few events that it keeps for a live reader. The position lives here, so nothing
 * is passed over. Where nothing is heard for a while the log is read: a subscription may have died without a word.
 */
export async function* follow(
  { connection, names, reader }: { connection: Connection; names: Names; reader: Pick<KurrentReader, 'search'> },
  { after, limit, signal }: { after: Position; limit: number; signal: AbortSignal },
): AsyncGenerator<readonly Advance[]> {
  const left = linkedAbort(signal);
  let position = after;
  try {
    while (!signal.aborted) {
      const heard = listen(connection, names, position, left.signal);
      const before = position;
      try {
        for (;;) {
          const advances = await heard.next(limit, QUIET);
          if (advances === undefined || signal.aborted) break;
          if (advances.length > 0) {
            position = advances.at(-1)?.position ?? position;
            yield advances;
            continue;
          }
          const missed = await reader.search({ after: heard.searchedTo(), limit }).catch(() => undefined);
          if (missed === undefined || heard.hasMore()) continue;
          heard.searched(missed.upTo);
          // Where the server has searched to may be where something stands that was told already.
          const untold = missed.events.filter((event) => isBehind(position, event.position));
          const last = untold.at(-1);
          if (last === undefined) continue;
          // It stands in the log and was not told: whoever follows is told now, and another subscription goes on.
          position = last.position;
          yield untold;
          break;
        }
      } finally {
        heard.stop();
      }
      if (position === before) await pause(AGAIN, signal);
    }
  } finally {
    left.abort();
  }
}

/** One subscription's sightings, as they wait to be taken. */
function listen(connection: Connection, names: Names, after: Position, signal: AbortSignal) {
  const waiting: Advance[] = [];
  let searchedTo = after;
  let dropped = false;
  let wake: (() => void) | undefined;
  const strike = () => wake?.();
  const subscription: Subscription = connection.follow(after === START ? undefined : after, names.prefixes, {
    seen(sightings) {
      const ours = sightings.flatMap((sighting) => toAdvance(names, sighting));
      waiting.push(...ours);
      subscription.taken(sightings.length - ours.length);
      searchedTo = sightings.at(-1)?.position ?? searchedTo;
      strike();
    },
    searched(position) {
      searchedTo = position;
    },
    dropped() {
      dropped = true;
      strike();
    },
  });
  signal.addEventListener('abort', strike, { once: true });
  return {
    /** What came, at most `limit`; nothing where nothing came in time; undefined where nothing will come any more. */
    async next(limit: number, milliseconds: number): Promise<readonly Advance[] | undefined> {
      if (waiting.length === 0 && !dropped && !signal.aborted) await somethingWithin(milliseconds);
      if (signal.aborted || (dropped && waiting.length === 0)) return undefined;
      const taken = waiting.splice(0, limit);
      subscription.taken(taken.length);
      return taken;
    },
    hasMore: () => waiting.length > 0,
    searchedTo: () => searchedTo,
    searched(position: Position) {
      searchedTo = position;
    },
    stop() {
      signal.removeEventListener('abort', strike);
      subscription.stop();
    },
  };

  function somethingWithin(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => wake?.(), milliseconds);
      wake = () => {
        clearTimeout(timer);
        wake = undefined;
        resolve();
      };
    });
  }
}

/** Whether a position stands behind another one. */
function isBehind(earlier: Position, later: Position): boolean {
  const [from = '0', to = '0'] = [earlier, later].map((position) => position.split('/', 1)[0]);
  return BigInt(to) > BigInt(from);
}

function toAdvance(names: Names, { stream, revision, id, position }: Sighting): Advance[] {
  const ours = names.toLedger(stream);
  return ours === undefined || !isEvent({ revision }) ? [] : [{ stream: ours, revision, id, position }];
}
