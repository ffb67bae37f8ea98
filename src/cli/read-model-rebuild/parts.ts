import type pg from 'pg';
import type { Position, Store } from '../../events/store.ts';
import type { ReadDatabase } from '../../projections/database.ts';
import type { GENERATIONS } from '../../projections/generations.ts';
import type { ProgressBar } from '../log-copy/progress.ts';

/** What the commands of a rebuild work with. */
export type RebuildParts = {
  readonly store: Store;
  /** Every generation, under the service's role, whether it stands or not. */
  readonly databases: { readonly [Name in (typeof GENERATIONS)[number]]: ReadDatabase };
  readonly owner: pg.Client;
  /** For reading all generations at one moment, under the service's role. */
  readonly pool: pg.Pool;
  /** Prints a line, or several. */
  readonly say: (text: string) => void;
  readonly tell: (what: string, error: unknown) => void;
  readonly progress: (what: string, end: Position) => ProgressBar;
};
