import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectOwner } from '../../src/cli/read-model-rebuild/owner.ts';
import { createNext, markFed } from '../../src/cli/read-model-rebuild/structure.ts';
import { appliedRevision } from '../../src/projections/checkpoints.ts';
import { NEXT, PREVIOUS } from '../../src/projections/generations.ts';
import { project } from '../../src/projections/project.ts';
import { createFiller } from '../../src/projections/rebuild.ts';
import { rowsIn } from '../cli/rebuilding.ts';
import { credits } from '../support/account-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { caughtUp, eventually, openWorkers } from './working.ts';

/* What projectors do for generations beside the live one, and what these can't do to them. */

const bench = useLedger();
let owner: pg.Client;

beforeAll(async () => {
  owner = await connectOwner(bench.database.url);
});
afterAll(() => owner?.end());

/** Applies the whole log to the next generation. */
async function fill(): Promise<void> {
  const { store, others } = bench.ledger.context;
  await createFiller({ db: others[NEXT], store }).fillUpTo(await store.lastPosition(), () => undefined);
}

const applied = (name: typeof NEXT | typeof PREVIOUS, stream: string) =>
  appliedRevision(bench.ledger.context.others[name], stream);

describe('a generation beside the live one', () => {
  it('is fed under the role of the service once it is marked, and not while it is filled', async () => {
    const { superuser } = bench.database;
    const workers = await openWorkers(bench.database.url);
    try {
      await createNext(owner);
      const account = workers.ledger.account('fed');
      await account.grant(credits(10));
      await caughtUp(superuser);
      const { db, store } = bench.ledger.context;
      expect(await project(db, store, [{ stream: account.stream, revision: 1 }])).not.toHaveProperty('others');
      expect(await applied(NEXT, account.stream)).toBe(-1);
      await markFed(owner);
      // All of a stream, however little of it was there.
      await account.use(credits(1));
      await eventually(async () => expect(await applied(NEXT, account.stream)).toBe(2));
      expect(await rowsIn(superuser, NEXT)).toEqual(await rowsIn(superuser, 'read_model'));
    } finally {
      await workers.close();
    }
  });

  it('that is locked, or broken, holds up nothing in the live one, and catches up', async () => {
    const { superuser } = bench.database;
    const workers = await openWorkers(bench.database.url);
    try {
      const account = workers.ledger.account('held up');
      await superuser.query('begin; lock table read_model_next.grants in exclusive mode');
      for (let round = 0; round < 5; round += 1) {
        await account.grant(credits(1));
        await eventually(async () => expect(await appliedRevision(bench.ledger.context.db, account.stream)).toBe(round + 1));
      }
      expect(await applied(NEXT, account.stream)).toBe(-1);
      await superuser.query('rollback');

      await superuser.query('revoke insert on read_model_next.journal from mana_credits_service');
      await workers.ledger.account('broken').grant(credits(1));
      await superuserCaughtUp();
      await superuser.query('grant insert on read_model_next.journal to mana_credits_service');
    } finally {
      await workers.close();
    }
    await fill();
    expect(await rowsIn(superuser, NEXT)).toEqual(await rowsIn(superuser, 'read_model'));
  });
});

/** Waits for the live generation, whatever is wrong with others. */
async function superuserCaughtUp(): Promise<void> {
  await caughtUp(bench.database.superuser);
}

describe('a projector that a switch makes wait', () => {
  it('goes on in the generation that is live then', async () => {
    const { superuser, url } = bench.database;
    const { db, store } = bench.ledger.context;
    const { stream } = bench.ledger.account('between');
    await bench.ledger.account('between').grant(credits(3));
    // Its connection knows the tables and the statements.
    await project(db, store, [{ stream, revision: 0 }]);
    await fill();
    const watcher = new pg.Client({ connectionString: url });
    await watcher.connect();
    try {
      await superuser.query('begin; select pg_advisory_xact_lock(7041856)');
      const projected = project(db, store, [{ stream, revision: 1 }]);
      await eventually(async () => {
        const { rowCount } = await watcher.query(`select from pg_locks where locktype = 'advisory' and not granted`);
        expect(rowCount).toBe(1);
      });
      await superuser.query(
        `alter schema read_model rename to read_model_previous; alter schema read_model_next rename to read_model; commit`,
      );
      // It was there already: the fill had gone further.
      expect(await projected).toMatchObject({ applied: 0, unfinished: [] });
      expect(await applied(PREVIOUS, stream)).toBe(0);

      await bench.ledger.account('between').use(credits(1));
      expect(await project(db, store, [{ stream, revision: 2 }])).toMatchObject({ applied: 1, others: [PREVIOUS] });
      expect(await applied(PREVIOUS, stream)).toBe(0);
    } finally {
      await watcher.end();
    }
  });
});
