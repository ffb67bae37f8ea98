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
/** How many keys a process keeps at hand, and for how long: an erased key is gone from every process after that. */
const CACHED_KEYS = 10_000;
const CACHED_FOR = 30_000;

export function createPersonal(pool: pg.Pool): Personal {
  const bySubject = new LRUCache<string, { id: string; key: Buffer }>({ max: CACHED_KEYS, ttl: CACHED_FOR });
  const byId = new LRUCache<string, Buffer>({ max: CACHED_KEYS, ttl: CACHED_FOR });

  async function currentKey(subject: string): Promise<{ id: string; key: Buffer }> {
    const cached = bySubject.get(subject);
    if (cached !== undefined) return cached;
    const find = () =>
      pool.query<{ id: string; key: Buffer }>(
        'select id, key from ledger.personal_keys where subject = $1 and erased_at is null',
        [subject],
      );
    let [row] = (await find()).rows;
    if (row === undefined) {
      await pool.query(
        'insert into ledger.personal_keys (subject, key) values ($1, $2) on conflict (subject) where erased_at is null do nothing',
        [subject, randomBytes(32)],
      );
      [row] = (await find()).rows;
    }
    if (row === undefined) throw new Error('a personal key was erased as it was made');
    bySubject.set(subject, row);
    byId.set(row.id, row.key);
    return row;
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
    const { rows } = await pool.query<{ id: string; key: Buffer }>(
      'select id, key from ledger.personal_keys where id = any ($1::uuid[]) and key is not null',
      [unknown],
    );
    for (const { id, key } of rows) {
      byId.set(id, key);
      found.set(id, key);
    }
    return found;
  }

  return {
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
