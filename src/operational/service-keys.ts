import { hash, randomBytes } from 'node:crypto';
import type pg from 'pg';

/*
 * Keys of services: `mk_{id}_{secret}`, the secret 256 bits from a cryptographic source. A key is found by its id, so
 * that nothing secret is looked for in an index, and compared in constant time. What is stored is the SHA-256 of the
 * whole text. A slow hash would add nothing but time to every request: it protects secrets that people choose, and
 * nobody guesses 256 random bits, however fast.
 */

const ID_BYTES = 8;
const SECRET_BYTES = 32;
const KEY_TEXT = /^mk_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;

/** What two keys of one name collide on. */
const CURRENT_INDEX = 'service_keys_current';
const UNIQUE_VIOLATION = '23505';

/** What a process knows of a key: all but its text. */
export type ServiceKey = {
  readonly id: string;
  readonly name: string;
  /** In whose names it may act: one, or several that the caller chooses from. */
  readonly apps: readonly string[];
  readonly scopes: readonly string[];
  readonly hash: Buffer;
  /** From when on it counts no more; null for the key of its name that is in force. */
  readonly endsAt: Date | null;
};

/** A key as whoever runs the ledger sees it. */
export type ListedKey = Omit<ServiceKey, 'hash'> & {
  readonly createdAt: Date;
  /** Whether its end has come. */
  readonly hasEnded: boolean;
  readonly revokedAt: Date | null;
  readonly lastUsedAt: Date | null;
};

/** Keys as the service reads them. */
export type ServiceKeys = {
  /** The key with this id; undefined where there is none or it was revoked. Its end is for the caller to look at. */
  find(id: string): Promise<ServiceKey | undefined>;
  /** Notes that a key was used now, unless somebody did less than a minute ago. */
  noteUse(id: string): Promise<void>;
};

/** The id in a key's text; undefined where the text can be no key. */
export function keyIdOf(text: string): string | undefined {
  return KEY_TEXT.exec(text)?.[1];
}

/** What is stored of a key's text, and compared: of one length whatever the text. */
export function keyDigest(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

/** Reads keys on the service's connections. Both functions reject where the database doesn't answer. */
export function createServiceKeys(pool: pg.Pool): ServiceKeys {
  return {
    async find(id) {
      const { rows } = await pool.query<ServiceKey>(
        `select id, name, apps, scopes, hash, ends_at as "endsAt"
         from operational.service_keys where id = $1 and revoked_at is null`,
        [id],
      );
      return rows[0];
    },
    async noteUse(id) {
      await pool.query(
        `update operational.service_keys set last_used_at = now()
         where id = $1 and (last_used_at is null or last_used_at <= now() - interval '1 minute')`,
        [id],
      );
    },
  };
}

/**
 * Makes a key and returns its text, which is nowhere else from then on; undefined where a key of this name is in force.
 * Needs a connection of whoever migrates, as all below do.
 */
export async function createKey(
  client: pg.ClientBase,
  { name, apps, scopes }: Pick<ServiceKey, 'name' | 'apps' | 'scopes'>,
): Promise<string | undefined> {
  const id = randomBytes(ID_BYTES).toString('hex');
  const text = `mk_${id}_${randomBytes(SECRET_BYTES).toString('base64url')}`;
  try {
    await client.query('insert into operational.service_keys (id, name, apps, scopes, hash) values ($1, $2, $3, $4, $5)', [
      id,
      name,
      apps,
      scopes,
      keyDigest(text),
    ]);
    return text;
  } catch (error) {
    const { code, constraint } = error as { code?: unknown; constraint?: unknown };
    if (code === UNIQUE_VIOLATION && constraint === CURRENT_INDEX) return undefined;
    throw error;
  }
}

/**
 * Makes a new key with the name, apps and scopes of the one in force, which ends at `until`, after 24 hours where that
 * is null. Returns the new text and that end; undefined where no key of this name is in force.
 */
export async function rotateKey(
  client: pg.ClientBase,
  name: string,
  until: Date | null,
): Promise<{ readonly text: string; readonly endsAt: Date } | undefined> {
  await client.query('begin');
  try {
    const { rows } = await client.query<Pick<ServiceKey, 'name' | 'apps' | 'scopes'> & { endsAt: Date }>(
      `update operational.service_keys set ends_at = coalesce($2::timestamptz, now() + interval '24 hours')
       where name = $1 and ends_at is null and revoked_at is null
       returning name, apps, scopes, ends_at as "endsAt"`,
      [name, until],
    );
    const [old] = rows;
    const text = old === undefined ? undefined : await createKey(client, old);
    await client.query('commit');
    return old === undefined || text === undefined ? undefined : { text, endsAt: old.endsAt };
  } catch (error) {
    // Where the connection is lost, so is the transaction: what went wrong first is what counts.
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/** Revokes the key with an id, or every key of a name, those that were rotated included. Returns how many. */
export async function revokeKeys(client: pg.ClientBase, nameOrId: string): Promise<number> {
  const { rowCount } = await client.query(
    'update operational.service_keys set revoked_at = now() where (name = $1 or id = $1) and revoked_at is null',
    [nameOrId],
  );
  return rowCount ?? 0;
}

/** Every key that there ever was, by name, the oldest first. */
export async function listKeys(client: pg.ClientBase): Promise<readonly ListedKey[]> {
  const { rows } = await client.query<ListedKey>(
    `select id, name, apps, scopes, ends_at as "endsAt", coalesce(ends_at <= now(), false) as "hasEnded", created_at as "createdAt", revoked_at as "revokedAt",
            last_used_at as "lastUsedAt"
     from operational.service_keys order by name, created_at, id`,
  );
  return rows;
}
