import type pg from 'pg';
import type { Store } from '../store.ts';
import { kurrentAppend } from './append.ts';
import { Connection } from './connection.ts';
import { createFactIndex } from './fact-index.ts';
import { FactFinder } from './fact-finder.ts';
import { IndexWriter } from './index-writer.ts';
import { namesUnder } from './names.ts';
import { kurrentReader } from './reader.ts';
import { checkServer } from './start-check.ts';
import { follow } from './subscription.ts';
import { Tails } from './tails.ts';

export type KurrentSettings = {
  readonly url: string;
  /** What begins the names of the ledger's streams on the server. */
  readonly prefix: string;
  /** Postgres under the service's role, for what the server can't keep: claims and links. */
  readonly pool: pg.Pool;
  readonly onTrouble: (what: string, error: unknown) => void;
};

/**
 * The store contract on KurrentDB or EventStoreDB. Rejects with StoreUnavailableError where the server can't be used,
 * and says why. Whoever opens it closes it.
 */
export async function openKurrentStore(settings: KurrentSettings): Promise<{ readonly store: Store; close(): Promise<void> }> {
  const { url, prefix, pool, onTrouble } = settings;
  const connection = new Connection({ url, onTrouble });
  try {
    await checkServer(connection, url);
  } catch (error) {
    await connection.close();
    throw error;
  }
  const names = namesUnder(prefix);
  const reader = kurrentReader(connection, names);
  const index = createFactIndex(pool);
  const tails = new Tails();
  const writer = new IndexWriter(index, tails);
  const facts = new FactFinder({ index, tails, writer, reader });
  const { readStream, readStreams, readAll, lastPosition } = reader;
  const store: Store = {
    readStream,
    readStreams,
    readAll,
    lastPosition,
    append: kurrentAppend({ connection, names, reader, facts }),
    subscribe: (options) => follow({ connection, names, reader }, options),
    findClaims: (stream, claims) => facts.findClaims(stream, claims),
    lastAbout: (stream, revisions) => facts.lastAbout(stream, revisions),
  };
  return {
    store,
    async close() {
      await writer.close();
      await connection.close();
    },
  };
}
