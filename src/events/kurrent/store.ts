import type pg from 'pg';
import type { Store } from '../store.ts';

export type KurrentSettings = {
  readonly url: string;
  /** What begins the names of the ledger's streams on the server. */
  readonly prefix: string;
  /** Postgres under the service's role, for what the server can't keep: claims and links. */
  readonly pool: pg.Pool;
  readonly onTrouble: (what: string, error: unknown) => void;
};

export async function openKurrentStore(_settings: KurrentSettings): Promise<{ store: Store; close(): Promise<void> }> {
  throw new Error('soon');
}
