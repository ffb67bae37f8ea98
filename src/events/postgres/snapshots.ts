import type pg from 'pg';
import { byteaArray, int8Array, textArray } from './binary-arrays.ts';

/** A stream's folded state at a revision, as text. Never the truth: see migrations/0002. */
export type Snapshot = {
  readonly stream: string;
  readonly revision: number;
  /** Of the event at the revision, in base64url. */
  readonly hash: string;
  readonly state: string;
};

export type Snapshots = {
  /** The snapshots of these streams that were made by this version of the code, by stream. */
  read(streams: readonly string[]): Promise<ReadonlyMap<string, Snapshot>>;
  /** Keeps snapshots; an older one never takes a newer one's place. */
  write(snapshots: readonly Snapshot[]): Promise<void>;
};

/** Snapshots in Postgres, beside whichever store holds the log. */
export function createSnapshots(pool: pg.Pool, version: number): Snapshots {
  return {
    async read(streams) {
      const { rows } = await pool.query<{ stream: string; revision: string; hash: Buffer; state: string }>({
        name: 'read-snapshots',
        text: 'select stream, revision, hash, state from ledger.snapshots where stream = any ($1::text[]) and version = $2',
        values: [textArray(streams), version],
      });
      return new Map(
        rows.map((row) => [row.stream, { ...row, revision: Number(row.revision), hash: row.hash.toString('base64url') }]),
      );
    },
    async write(snapshots) {
      await pool.query({
        name: 'write-snapshots',
        text: `insert into ledger.snapshots as s (stream, revision, hash, version, state)
          select n.stream, n.revision, n.hash, $5, n.state
          from unnest($1::text[], $2::bigint[], $3::bytea[], $4::text[]) as n (stream, revision, hash, state) order by n.stream
          on conflict (stream) do update
          set revision = excluded.revision, hash = excluded.hash, version = excluded.version, state = excluded.state
          where s.revision < excluded.revision or s.version <> excluded.version`,
        values: [
          textArray(snapshots.map((one) => one.stream)),
          int8Array(snapshots.map((one) => one.revision)),
          byteaArray(snapshots.map((one) => Buffer.from(one.hash, 'base64url'))),
          textArray(snapshots.map((one) => one.state)),
          version,
        ],
      });
    },
  };
}
