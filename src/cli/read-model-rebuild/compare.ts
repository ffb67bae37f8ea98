import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { LIVE, type OtherGeneration } from '../../projections/generations.ts';
import { comparePage, type Difference } from './compare-page.ts';
import { keysOf, MODELS, MODEL_NAMES } from './tables.ts';

/** What came of a comparison. */
export type Comparison = {
  /** Streams whose rows were compared: those that both generations have to the same revision. */
  readonly streams: number;
  /** Streams that were not at the same revision whenever they were looked at. */
  readonly unequal: number;
  readonly count: number;
  /** The first of the differences. */
  readonly differences: readonly Difference[];
};

/** Streams, and events of theirs, whose rows are compared in one snapshot: a stream with more has one of its own. */
const STREAMS_TOGETHER = 500;
const EVENTS_TOGETHER = 20_000;
/** Streams that are looked at again since one generation was ahead, at the most; how often, and after how many ms. */
const MOST_AGAIN = 100_000;
const LOOKS = 5;
const LOOK_AGAIN = 500;
/** Rows of streams that were never applied, of each table: there should be none. */
const MOST_STRAY = 1_000;

type Level = { readonly stream: string; readonly revision: number; readonly isEqual: boolean };
type Sum = { streams: number; count: number; readonly differences: Difference[] };
type Keys = ReadonlyMap<string, readonly string[]>;

/**
 * Holds another generation against the live one, row by row, for streams that both have to the same revision. A page is
 * one snapshot, so that both may go on meanwhile; streams that were on their way are looked at again.
 */
export async function compareGenerations(
  pool: pg.Pool,
  { other, limit, onProgress }: { other: OtherGeneration; limit: number; onProgress: (streams: number) => void },
): Promise<Comparison> {
  const keys = await inSnapshot(pool, keysOf);
  const sum: Sum = { streams: 0, count: 0, differences: [] };
  const compare = async (client: pg.ClientBase, levels: readonly Level[]): Promise<readonly string[]> => {
    const streams = levels.filter(({ isEqual }) => isEqual).map(({ stream }) => stream);
    await take(client, { other, streams, keys }, { limit, sum });
    onProgress(sum.streams);
    return levels.filter(({ isEqual }) => !isEqual).map(({ stream }) => stream);
  };

  let unequal: string[] = [];
  let forgotten = 0;
  for (let after = '', isDone = false; !isDone; ) {
    await inSnapshot(pool, async (client) => {
      const levels = cut(await levelsOf(client, other, { after }));
      const moving = await compare(client, levels);
      const room = MOST_AGAIN - unequal.length;
      unequal.push(...moving.slice(0, room));
      forgotten += Math.max(moving.length - room, 0);
      const last = levels.at(-1);
      isDone = last === undefined;
      after = last?.stream ?? after;
    });
  }
  for (let look = 1; look < LOOKS && unequal.length > 0; look += 1) {
    await delay(LOOK_AGAIN);
    const again: string[] = [];
    for (let from = 0; from < unequal.length; from += STREAMS_TOGETHER) {
      const streams = unequal.slice(from, from + STREAMS_TOGETHER);
      await inSnapshot(pool, async (client) =>
        again.push(...(await compare(client, await levelsOf(client, other, { streams })))),
      );
    }
    unequal = again;
  }
  await inSnapshot(pool, async (client) => {
    const strays = await straysIn(client, other);
    await take(client, { other, streams: strays, keys }, { limit, sum });
    sum.streams -= strays.length;
  });
  return { ...sum, unequal: unequal.length + forgotten };
}

async function take(
  client: pg.ClientBase,
  page: { readonly other: OtherGeneration; readonly streams: readonly string[]; readonly keys: Keys },
  { limit, sum }: { readonly limit: number; readonly sum: Sum },
): Promise<void> {
  const { count, differences } = await comparePage(client, page, limit - sum.differences.length);
  sum.streams += page.streams.length;
  sum.count += count;
  sum.differences.push(...differences);
}

/** As many streams from the first on as may be compared in one snapshot. */
function cut(levels: readonly Level[]): readonly Level[] {
  let events = 0;
  const end = levels.findIndex(({ revision }, index) => {
    events += revision + 1;
    return index > 0 && events > EVENTS_TOGETHER;
  });
  return end === -1 ? levels : levels.slice(0, end);
}

/** Streams of both generations, a page behind the stream `after` or those that are named, and whether both are level. */
async function levelsOf(
  client: pg.ClientBase,
  other: OtherGeneration,
  which: { readonly after: string } | { readonly streams: readonly string[] },
): Promise<readonly Level[]> {
  const [wanted, value] = 'after' in which ? ['stream > $1', which.after] : ['stream = any ($1)', which.streams];
  const page = (name: string) =>
    `(select stream from ${name}.checkpoints where ${wanted} order by stream limit ${STREAMS_TOGETHER})`;
  const { rows } = await client.query<{ stream: string; revision: string; is_equal: boolean }>(
    `select n.stream, greatest(l.revision, o.revision) as revision, coalesce(l.revision = o.revision, false) as is_equal
     from (${page(LIVE)} union ${page(other)} order by stream limit ${STREAMS_TOGETHER}) n
     left join ${LIVE}.checkpoints l on l.stream = n.stream left join ${other}.checkpoints o on o.stream = n.stream
     order by n.stream`,
    [value],
  );
  return rows.map(({ stream, revision, is_equal: isEqual }) => ({ stream, revision: Number(revision), isEqual }));
}

/** Streams with rows in a generation, though nothing of them was ever applied in either. */
async function straysIn(client: pg.ClientBase, other: OtherGeneration): Promise<readonly string[]> {
  const streams = new Set<string>();
  for (const table of MODEL_NAMES) {
    const { column, streamOf } = MODELS[table];
    const stream = column === undefined ? `'${streamOf({})}'` : `${streamPrefix(streamOf, column)} || t.${column}`;
    for (const generation of [LIVE, other]) {
      const { rows } = await client.query<{ stream: string }>(
        `select distinct ${stream} as stream from ${generation}.${table} t
         where not exists (select from ${LIVE}.checkpoints c where c.stream = ${stream})
           and not exists (select from ${other}.checkpoints c where c.stream = ${stream}) limit ${MOST_STRAY}`,
      );
      for (const row of rows) streams.add(row.stream);
    }
  }
  return [...streams];
}

/** What stands before a column's value in the name of the stream, as a literal. */
function streamPrefix(streamOf: (row: Readonly<Record<string, unknown>>) => string, column: string): string {
  return `'${streamOf({ [column]: '' })}'`;
}

/** How long one page may take, and how long its moment is kept, as `set local` takes it. */
const PATIENCE = '10min';

/** Reads one moment of all generations. */
export async function inSnapshot<Result>(pool: pg.Pool, work: (client: pg.ClientBase) => Promise<Result>): Promise<Result> {
  const client = await pool.connect();
  let isDone = false;
  try {
    await client.query('begin transaction isolation level repeatable read read only');
    for (const name of ['statement_timeout', 'idle_in_transaction_session_timeout']) {
      await client.query(`set local ${name} = '${PATIENCE}'`);
    }
    const result = await work(client);
    await client.query('commit');
    isDone = true;
    return result;
  } finally {
    client.release(!isDone);
  }
}
