import { sql } from 'kysely';
import { readModelPool } from '../../database.ts';
import { type Position, START } from '../../events/store.ts';
import { findBehind } from '../../projections/checkpoints.ts';
import { readDatabase } from '../../projections/database.ts';
import { NEXT } from '../../projections/generations.ts';
import type { EqualEnd } from './compare-logs.ts';

/**
 * Where the router starts on another store: positions of the old one mean nothing there. Read models' checkpoints count
 * revisions of streams and stay good.
 */
export type RouterStart = {
  /** Looks whether streams are applied up to where they end. */
  note(ends: readonly EqualEnd[]): Promise<void>;
  /**
   * Moves the router: behind `position`, the target's last event, where every stream that was noted is applied or parked
   * up to its end, or else to the log's beginning, from where it signals only what is not applied. Returns where to.
   */
  move(position: Position): Promise<Position>;
  close(): Promise<void>;
};

/** On the Postgres that keeps the read models. Whoever opens it closes it. */
export function routerStart(url: string): RouterStart {
  const db = readDatabase(readModelPool(url, 'copy', 1));
  let isBehind = false;
  return {
    async note(ends) {
      if (!isBehind && ends.length > 0) isBehind = (await findBehind(db, ends)).length > 0;
    },
    async move(position) {
      const start = isBehind ? START : position;
      await db.transaction().execute(async (tx) => {
        // Unlike what projectors write, nothing would bring it back after a crash.
        await sql`set local synchronous_commit = on`.execute(tx);
        await sql`update applied set position = ${start}`.execute(tx);
        const { rows } = await sql<{ next: boolean }>`select to_regnamespace(${NEXT}) is not null as next`.execute(tx);
        // One that is being built is gone through from the beginning: its checkpoints stay good as well.
        if (rows[0]?.next === true) await sql`update ${sql.table(`${NEXT}.applied`)} set position = ${START}`.execute(tx);
      });
      return start;
    },
    close: () => db.destroy(),
  };
}
