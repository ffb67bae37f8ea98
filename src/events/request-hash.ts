import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type pg from 'pg';
import { canonicalJson, type Json } from './canonical.ts';

/**
 * What tells whether a repeated idempotency key comes with the same request: an HMAC over the command's type and its
 * body as supplied, so that the log gives nothing of the body away. Written as `version.digest`, where the version
 * names the secret it was made with.
 */
export type RequestHashes = {
  /** The hash of a request under the newest secret. */
  of(request: Request): string;
  /** Whether a stored hash was made from this request, whichever secret it names. */
  matches(stored: string | null, request: Request): boolean;
};

/** A command's type and its body without the key. */
export type Request = { readonly type: string; readonly body: Json };

const SECRET = 'request-hash';

/** Loads the ledger's secrets for request hashes; makes the first one where there is none yet. */
export async function createRequestHashes(pool: pg.Pool): Promise<RequestHashes> {
  // Of two processes that start at once, one writes the first version and both read it.
  await pool.query('insert into ledger.secrets (name, version, value) values ($1, 1, $2) on conflict do nothing', [
    SECRET,
    randomBytes(32),
  ]);
  const { rows } = await pool.query<{ version: number; value: Buffer }>(
    'select version, value from ledger.secrets where name = $1 order by version',
    [SECRET],
  );
  const secrets = new Map(rows.map((row) => [row.version, row.value]));
  const newest = Math.max(...secrets.keys());

  function digest(version: number, { type, body }: Request): string | undefined {
    const secret = secrets.get(version);
    return (
      secret &&
      `${version}.${createHmac('sha256', secret)
        .update(canonicalJson([type, body]))
        .digest('base64url')}`
    );
  }

  return {
    of: (request) => digest(newest, request) ?? '',
    matches(stored, request) {
      const [version] = stored?.split('.') ?? [];
      const expected = digest(Number(version), request);
      if (stored === null || expected === undefined || stored.length !== expected.length) return false;
      return timingSafeEqual(Buffer.from(stored), Buffer.from(expected));
    },
  };
}
