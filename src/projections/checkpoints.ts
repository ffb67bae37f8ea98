import { sql, type Transaction } from 'kysely';
import { int8Array, textArray } from '../events/postgres/binary-arrays.ts';
import { type BigintColumn, type TimeColumn } from './columns.ts';
import type { ReadDatabase, ReadModels } from './database.ts';
import { FED_MARK, GENERATION_LOCK, GENERATIONS, NEXT, type OtherGeneration, OTHERS, PREVIOUS } from './generations.ts';
import { PARTITIONS, partitionOf } from './partitions.ts';

/** How far each stream has been applied. */
export type CheckpointsTable = { stream: string; revision: BigintColumn };

/** Streams with an event that could not be applied. */
export type ParkedTable = { stream: string; revision: BigintColumn; error: string; parked_at: TimeColumn };

/** How far a stream has been applied, -1 for not at all, and whether it was parked. */
export type Checkpoint = { readonly revision: number; readonly parked: boolean };

/** Where some streams stand, and which generations beside this one are to be told what is applied here. */
type Locked = { readonly checkpoints: ReadonlyMap<string, Checkpoint>; readonly others: readonly OtherGeneration[] };

/** With a partition's number, counted through all generations, the advisory lock of whoever projects there. */
const PARTITION_LOCK = 7_041_854;

/**
 * Locks the partitions of some streams, in sorted order so that no two projectors wait in a circle, and returns the
 * streams' checkpoints. One lock for many streams: locking each row would cost as much as applying its events. The
 * generation's lock comes first, unless the caller holds it `alone`; those of partitions are each generation's own.
 */
export async function lockCheckpoints(
  tx: Transaction<ReadModels>,
  streams: readonly string[],
  { alone = false }: { readonly alone?: boolean } = {},
): Promise<Locked> {
  const partitions = [...new Set(streams.map(partitionOf))].toSorted((a, b) => a - b);
  await sql`select case when n.partition is null then pg_advisory_xact_lock_shared(${GENERATION_LOCK}::bigint)
      else pg_advisory_xact_lock(${PARTITION_LOCK}::int, n.partition + ${PARTITIONS}::int
        * (coalesce(array_position(${[...GENERATIONS]}::text[], current_setting('search_path')), 1) - 1)) end
    from unnest(${alone ? partitions : [null, ...partitions]}::int[]) with ordinality as n (partition, ord)
    order by n.ord`.execute(tx);
  // A statement of its own: it sees what the locks' last holders committed, and finds the tables that go by this name now.
  const { rows } = await sql<CheckpointRow>`select n.stream,
      coalesce(c.revision, -1) as revision, p.stream is not null as parked,
      exists (select from pg_class where relname = ${FED_MARK} and relnamespace = to_regnamespace(${NEXT}::text)) as next,
      (select to_regnamespace(${PREVIOUS}::text) is not null) as previous
    from unnest(${textArray(streams)}::text[]) as n (stream)
    left join checkpoints c on c.stream = n.stream
    left join parked p on p.stream = n.stream`.execute(tx);
  const checkpoints = new Map(rows.map(({ stream, revision, parked }) => [stream, { revision: Number(revision), parked }]));
  const stands = { [NEXT]: rows[0]?.next === true, [PREVIOUS]: rows[0]?.previous === true };
  return { checkpoints, others: OTHERS.filter((name) => stands[name]) };
}

type CheckpointRow = {
  readonly stream: string;
  readonly revision: string;
  readonly parked: boolean;
  readonly next: boolean;
  readonly previous: boolean;
};

/** Moves checkpoints on. The caller holds the locks. */
export async function moveCheckpoints(tx: Transaction<ReadModels>, revisions: ReadonlyMap<string, number>): Promise<void> {
  if (revisions.size === 0) return;
  await sql`insert into checkpoints (stream, revision)
    select n.stream, n.revision from unnest(${textArray([...revisions.keys()])}::text[], ${int8Array([...revisions.values()])}::bigint[]) as n (stream, revision)
    on conflict (stream) do update set revision = excluded.revision`.execute(tx);
}

/** Parks a stream at an event that could not be applied. */
export async function park(tx: Transaction<ReadModels>, stream: string, revision: number, error: string): Promise<void> {
  await tx
    .insertInto('parked')
    .values({ stream, revision, error, parked_at: new Date().toISOString() })
    .onConflict((conflict) => conflict.column('stream').doUpdateSet({ revision, error }))
    .execute();
}

/** Takes streams out of the car park. */
export async function unpark(tx: Transaction<ReadModels>, streams: readonly string[]): Promise<void> {
  await tx
    .deleteFrom('parked')
    .where('stream', 'in', [...streams])
    .execute();
}

/** Streams that are parked, at most `limit`, each with the revision that could not be applied. */
export async function findParked(
  db: ReadDatabase,
  limit: number,
): Promise<readonly { readonly stream: string; readonly revision: number }[]> {
  const rows = await db.selectFrom('parked').select(['stream', 'revision']).orderBy('stream').limit(limit).execute();
  return rows.map((row) => ({ stream: row.stream, revision: Number(row.revision) }));
}

/** Of these streams and revisions, those that are neither applied that far nor parked. */
export async function findBehind(
  db: ReadDatabase,
  signals: readonly { readonly stream: string; readonly revision: number }[],
): Promise<readonly { readonly stream: string; readonly revision: number }[]> {
  const { rows } = await sql<{ stream: string; revision: string }>`select n.stream, n.revision
    from unnest(${textArray(signals.map((one) => one.stream))}::text[], ${int8Array(signals.map((one) => one.revision))}::bigint[]) as n (stream, revision)
    left join checkpoints c on c.stream = n.stream
    left join parked p on p.stream = n.stream
    where coalesce(c.revision, -1) < n.revision and p.stream is null`.execute(db);
  return rows.map((row) => ({ stream: row.stream, revision: Number(row.revision) }));
}

/** The revision up to which a stream has been applied, -1 for none. */
export async function appliedRevision(db: ReadDatabase, stream: string): Promise<number> {
  const row = await db.selectFrom('checkpoints').select('revision').where('stream', '=', stream).executeTakeFirst();
  return row === undefined ? -1 : Number(row.revision);
}

/** How many streams are parked. */
export async function countParked(db: ReadDatabase): Promise<number> {
  const { count } = await db
    .selectFrom('parked')
    .select((eb) => eb.fn.countAll<string>().as('count'))
    .executeTakeFirstOrThrow();
  return Number(count);
}
