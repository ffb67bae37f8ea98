import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Registry } from 'prom-client';
import type { Accounts } from '../commands/account-decider.ts';
import type { CatalogueCommands } from '../commands/catalogue-decider.ts';
import type { CatalogueFollower } from '../commands/write-path/catalogue-follower.ts';
import type { Clock } from '../events/clock.ts';
import type { Personal } from '../events/personal.ts';
import { type Store, StoreUnavailableError } from '../events/store.ts';
import type { ReadDatabase } from '../projections/database.ts';
import { ApiError } from './errors.ts';

/** What routes need of the context. */
export type ApiParts = {
  readonly accounts: Accounts;
  /** What the catalogue says, followed from the log. */
  readonly catalogue: Pick<CatalogueFollower, 'current' | 'latest' | 'refresh' | 'revision'>;
  readonly catalogueCommands: CatalogueCommands;
  readonly personal: Personal;
  readonly clock: Clock;
  readonly db: ReadDatabase;
  readonly store: Pick<Store, 'lastPosition' | 'readStream'>;
  /** Whether the queue answers; rejects where it doesn't. */
  readonly pingQueue: () => Promise<void>;
  /** Whether the process was told to end: it still answers, and wants no more to do. */
  readonly isStopping: () => boolean;
  readonly metrics: Registry;
  /** Micro-credits. */
  readonly signupGrant: number;
};

/** A group of routes. */
export type Routes = (parts: ApiParts) => FastifyPluginAsync;

/** The app with types from the zod schemas of its routes. */
export function typed(app: FastifyInstance) {
  return app.withTypeProvider<ZodTypeProvider>();
}

/** Runs a read. Where the database doesn't answer, neither do we: there is no default for what it would have said. */
export async function reading<Result>(read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new StoreUnavailableError('a read failed', { cause: error });
  }
}
