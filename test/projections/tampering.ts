import type pg from 'pg';

/** What becomes of a stored event: another type, or another text in its data. */
export type Change = { readonly type?: string; readonly data?: (data: string) => string };

/**
 * Changes a stored event as nobody but the database's superuser can, past the log's own guards. Returns what changes
 * it back.
 */
export async function tamper(
  superuser: pg.Client,
  stream: string,
  revision: number,
  change: Change,
): Promise<() => Promise<void>> {
  const { rows } = await superuser.query<{ position: string; type: string; data: string }>(
    `select e.position, e.type, e.data from ledger.events e join ledger.streams s on s.id = e.stream_id
     where s.name = $1 and e.revision = $2`,
    [stream, revision],
  );
  const [stored] = rows;
  if (stored === undefined) throw new Error(`there is no ${stream}@${revision}`);
  const write = async (type: string, data: string) => {
    await superuser.query(`set session_replication_role = replica`);
    try {
      await superuser.query('update ledger.events set type = $2, data = $3 where position = $1', [stored.position, type, data]);
    } finally {
      await superuser.query(`set session_replication_role = origin`);
    }
  };
  await write(change.type ?? stored.type, change.data?.(stored.data) ?? stored.data);
  return () => write(stored.type, stored.data);
}

/** Events that can't be read, or can be read and not applied, each with what is said of it. */
export const UNFIT: readonly (readonly [name: string, change: Change, error: RegExp])[] = [
  ['of an unknown type', { type: 'FromTheFuture' }, /unknown type of event/],
  ['that is no event', { data: () => '{}' }, /after/],
  ['whose text Postgres refuses', { data: (data) => data.replace('"chat"', String.raw`"\u0000"`) }, /invalid byte sequence/],
  [
    'whose amounts are too large to add',
    { data: (data) => data.replace(/\[\[(\d+),\d+\]\]/, '[[$1,9007199254740991],[$1,9007199254740991]]') },
    /RangeError/,
  ],
];
