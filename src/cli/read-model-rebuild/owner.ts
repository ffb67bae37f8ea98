import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { SERVICE_ROLE } from '../../database.ts';
import { FED_MARK, GENERATION_LOCK, LIVE, NEXT, PREVIOUS, REBUILD_LOCK } from '../../projections/generations.ts';

/** In ms: how long the server may take to let us in, and to give us a lock that others have. */
const CONNECT_WITHIN = 5_000;
const LOCKED_WITHIN = 2_000;
/** Projectors that are waited for let go within a statement's time; somebody else's transaction may not. */
const TRIES = 5;
/** In ms: in between, projectors that have waited for us work. */
const TRY_AGAIN = 500;
/** In ms: the server ends the pause of whoever can't be reached any more, and of a statement that takes too long. */
const SILENT_AT_MOST = 10_000;
const STATEMENT_WITHIN = 60_000;
/** https://www.postgresql.org/docs/current/errcodes-appendix.html: no lock within the time that was set. */
const NO_LOCK = '55P03';

/** What can't be done now, or not by this command, in words that say what can. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

/** Which generations stand beside the live one. */
export type Standing = {
  readonly next: boolean;
  /** The bulk of the log is in the next one, and projectors feed it. */
  readonly fed: boolean;
  readonly previous: boolean;
};

/**
 * A connection as the owner of the read models, as `npm run migrate` has one: the service's role can neither make nor
 * rename a schema. Whoever opens it closes it.
 */
export async function connectOwner(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    application_name: 'mana-credits rebuild owner',
    connectionTimeoutMillis: CONNECT_WITHIN,
    keepAlive: true,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/**
 * A connection under the service's role for joining whole pages of two generations: unlike those of the service it has as
 * much time as a page takes, and a planner that may do as it likes. Whoever opens it closes it.
 */
export function comparingPool(url: string): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    application_name: 'mana-credits rebuild',
    options: `-c role=${SERVICE_ROLE} -c timezone=UTC`,
    connectionTimeoutMillis: CONNECT_WITHIN,
    keepAlive: true,
    max: 1,
  });
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Makes sure that nobody else builds, switches, removes or migrates while this connection lives. Throws RefusedError. */
export async function claimRebuild(owner: pg.Client): Promise<void> {
  const { rows } = await owner.query<{ got: boolean }>('select pg_try_advisory_lock($1) as got', [REBUILD_LOCK]);
  if (rows[0]?.got === true) return;
  throw new RefusedError('Another rebuild, or a migration, is at work on this database: let it end, or stop it, and try again.');
}

/** Which generations stand now. */
export async function standingOf(client: pg.ClientBase): Promise<Standing> {
  const { rows } = await client.query<Standing>(
    `select to_regnamespace($1) is not null as next, to_regnamespace($2) is not null as previous,
       exists (select from pg_class where relname = $3 and relnamespace = to_regnamespace($1)) as fed`,
    [NEXT, PREVIOUS, FED_MARK],
  );
  return rows[0] ?? { next: false, fed: false, previous: false };
}

/**
 * Does something as the owner of the read models, all or nothing, while every projector stands still: between two of
 * their transactions. Tried a few times, and so briefly that they wait for no longer than for each other; throws
 * RefusedError where that was not enough.
 */
export async function whileProjectorsWait<Result>(owner: pg.Client, work: () => Promise<Result>): Promise<Result> {
  for (let tryNumber = 1; ; tryNumber += 1) {
    try {
      return await asOwner(owner, async () => {
        await owner.query(`set local lock_timeout = ${LOCKED_WITHIN}`);
        await owner.query(`set local statement_timeout = ${STATEMENT_WITHIN}`);
        await owner.query(`set local idle_in_transaction_session_timeout = ${SILENT_AT_MOST}`);
        await owner.query('select pg_advisory_xact_lock($1)', [GENERATION_LOCK]);
        return work();
      });
    } catch (error) {
      if ((error as { code?: unknown }).code !== NO_LOCK) throw error;
      if (tryNumber === TRIES) {
        throw new RefusedError('The projectors, or somebody who reads all of a person, did not pause in time: try again.');
      }
      await delay(TRY_AGAIN);
    }
  }
}

/** Does something in one transaction, as whoever owns the read models, so that what is made is theirs. */
export async function asOwner<Result>(owner: pg.Client, work: () => Promise<Result>): Promise<Result> {
  await owner.query('begin');
  try {
    const { rows } = await owner.query<{ name: string }>(
      'select nspowner::regrole::text as name from pg_namespace where nspname = $1',
      [LIVE],
    );
    const name = rows[0]?.name;
    if (name === undefined) throw new Error('the database is not migrated: run `npm run migrate`');
    // It comes quoted where it needs to be.
    await owner.query(`set local role ${name}`);
    const result = await work();
    await owner.query('commit');
    return result;
  } catch (error) {
    // Where the connection is lost so is the transaction.
    await owner.query('rollback').catch(() => undefined);
    throw error;
  }
}
