import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type pg from 'pg';
import { canonicalJson, type Json } from './canonical.ts';

/**
 * Personal data: what names or describes a person, and the caller's own words. In the log it stands only as
 * ciphertext (AES-256-GCM) under its subject's key, and the ciphertext names the key. Keys live in a table of their
 * own and are durable before their first use. Erasing a person is deleting keys: history, hashes and balances stay.
 *
 * A ciphertext is `1.{key id}.{base64url of nonce, tag and text}`, bound to its stream.
 */
export type Personal = {
  /** Encrypts for a subject; null where there is nothing to encrypt. Makes the subject's key at its first use. */
  seal(subject: string, stream: string, words: Words): Promise<string | null>;
  /** Decrypts many at once; null where a ciphertext is null or its key is gone. */
  open(sealed: readonly Sealed[]): Promise<readonly (Words | null)[]>;
  /**
   * Deletes a subject's keys, for ever, and notes who did it (`by`, never empty). Returns how many keys there were: none
   * where there was nothing to erase. From then on this process reads nothing that was sealed before, and what it seals
   * for the subject later is under a new key. Other processes keep keys at hand for up to KEYS_KEPT_FOR.
   */
  erase(subject: string, by: string): Promise<number>;
};

/** The words themselves; what is undefined is left out. */
export type Words = {
  readonly description?: string | undefined;
  readonly reason?: string | undefined;
  readonly metadata?: Json | undefined;
};

type Sealed = { readonly stream: string; readonly ciphertext: string | null };

const NONCE = 12;
const TAG = 16;
/** How many keys a process keeps at hand, and for how long, in ms: an erased key is gone from every process after that. */
const KEYS_KEPT = 10_000;
export const KEYS_KEPT_FOR = 30_000;
/** How often a key is looked for and made before somebody who erases all the time is a fault. */
const MAX_ATTEMPTS = 5;

type Key = { readonly id: string; readonly key: Buffer };

/** Personal data under the keys of a database. `pool` connects under the service's role. */
export function createPersonal(pool: pg.Pool): Personal {
  const { currentKey, keysById, erase } = keysIn(pool);
  return {
    erase,

    async seal(subject, stream, words) {
      if (Object.values(words).every((word) => word === undefined)) return null;
      const text = canonicalJson(words);
      const { id, key } = await currentKey(subject);
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(stream));
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return `1.${id}.${Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')}`;
    },

    async open(sealed) {
      if (sealed.every(({ ciphertext }) => ciphertext === null)) return sealed.map(() => null);
      const keys = await keysById(sealed.flatMap(({ ciphertext }) => keyIdOf(ciphertext) ?? []));
      return sealed.map(({ stream, ciphertext }) => {
        const key = keys.get(keyIdOf(ciphertext) ?? '');
        return ciphertext === null || key === undefined ? null : decrypt(key, stream, ciphertext);
      });
    },
  };
}

/** The keys of a database, some of them at hand. */
function keysIn(pool: pg.Pool) {
  const bySubject = new LRUCache<string, Key>({ max: KEYS_KEPT, ttl: KEYS_KEPT_FOR });
  const byId = new LRUCache<string, Buffer>({ max: KEYS_KEPT, ttl: KEYS_KEPT_FOR });
  /** How often this process has erased: a key that was read before the last time is not kept after it. */
  let erasures = 0;

  /** A subject's key, made where there is none, and durable. */
  async function currentKey(subject: string): Promise<Key> {
    const cached = bySubject.get(subject);
    if (cached !== undefined) return cached;
    // Between a key that another made and the look at it, it may have been erased: then one is made again.
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
      const begun = erasures;
      const found = (await findKey(pool, subject)) ?? (await makeKey(pool, subject));
      if (found === undefined) continue;
      if (begun === erasures) {
        bySubject.set(subject, found);
        byId.set(found.id, found.key);
      }
      return found;
    }
    throw new Error('a personal key is erased whenever it is made');
  }

  /** Keys for one call, without those that are gone. What is kept at hand may leave it at any moment. */
  async function keysById(ids: readonly string[]): Promise<ReadonlyMap<string, Buffer>> {
    const found = new Map<string, Buffer>();
    const unknown: string[] = [];
    for (const id of new Set(ids)) {
      const key = byId.get(id);
      if (key === undefined) unknown.push(id);
      else found.set(id, key);
    }
    if (unknown.length === 0) return found;
    const begun = erasures;
    const { rows } = await pool.query<Key>({
      name: 'personal-keys-by-id',
      text: 'select id, key from ledger.personal_keys where id = any ($1::uuid[]) and key is not null',
      values: [unknown],
    });
    for (const { id, key } of rows) {
      if (begun === erasures) byId.set(id, key);
      found.set(id, key);
    }
    return found;
  }

  async function erase(subject: string, by: string): Promise<number> {
    if (by === '') throw new Error('it has to be known who erases');
    try {
      const { rows } = await pool.query<{ erased: number }>('select ledger.erase_person($1, $2) as erased', [subject, by]);
      return rows[0]?.erased ?? 0;
    } finally {
      // All of them, and whatever came of it: it is rare, and an answer that was lost may have been a yes.
      erasures += 1;
      bySubject.clear();
      byId.clear();
    }
  }

  return { currentKey, keysById, erase };
}

async function findKey(pool: pg.Pool, subject: string): Promise<Key | undefined> {
  const text = 'select id, key from ledger.personal_keys where subject = $1 and erased_at is null';
  const { rows } = await pool.query<Key>({ name: 'personal-key-of', text, values: [subject] });
  return rows[0];
}

/** A key that is whole and durable; undefined where another process has made one meanwhile. */
async function makeKey(pool: pg.Pool, subject: string): Promise<Key | undefined> {
  const { rows } = await pool.query<Key>(
    `insert into ledger.personal_keys (subject, key) values ($1, $2)
     on conflict (subject) where erased_at is null do nothing returning id, key`,
    [subject, randomBytes(32)],
  );
  return rows[0];
}

function keyIdOf(ciphertext: string | null): string | undefined {
  return ciphertext?.split('.')[1];
}

function decrypt(key: Buffer, stream: string, ciphertext: string): Words {
  const bytes = Buffer.from(ciphertext.split('.')[2] ?? '', 'base64url');
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE)).setAAD(Buffer.from(stream));
  decipher.setAuthTag(bytes.subarray(NONCE, NONCE + TAG));
  const text = Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()]).toString('utf8');
  return JSON.parse(text) as Words;
}
