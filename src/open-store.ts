import type pg from 'pg';
import type { Config } from './config.ts';
import { openKurrentStore } from './events/kurrent/store.ts';
import { createPostgresStore } from './events/postgres/store.ts';
import type { Store } from './events/store.ts';

/** A store that holds more than the connections it was given. Whoever opens it closes it. */
export type OpenStore = { readonly store: Store; close(): Promise<void> };

export type StoreSettings = Pick<Config, 'eventStoreUrl' | 'eventStorePrefix'>;

/**
 * Opens the store that the configuration names: KurrentDB where there is an EVENTSTORE_URL, or else Postgres. `pool` and
 * `makeClient` connect to Postgres under the service's role, which both need; `onTrouble` is told of what the store
 * gets over by itself. Rejects where KurrentDB can't be used, and says why.
 */
export async function openStore(
  { eventStoreUrl, eventStorePrefix }: StoreSettings,
  parts: {
    readonly pool: pg.Pool;
    readonly makeClient: () => pg.Client;
    readonly onTrouble: (what: string, error: unknown) => void;
  },
): Promise<OpenStore> {
  if (eventStoreUrl !== undefined) return openKurrentStore({ url: eventStoreUrl, prefix: eventStorePrefix, ...parts });
  return { store: createPostgresStore(parts), close: async () => undefined };
}
