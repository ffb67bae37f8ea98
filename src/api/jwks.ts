import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { z } from 'zod';

/** How long keys are believed, how soon an unknown key id is asked for again, and how long an answer may take; in ms. */
const FRESH_FOR = 600_000;
const ASK_AGAIN = 5_000;
const ANSWER_WITHIN = 2_000;

const jwksSchema = z.object({ keys: z.array(z.unknown()) });
const keySchema = z.looseObject({ kid: z.string(), kty: z.string() });

/**
 * The public keys of the auth service, as PEM by key id. An unknown id makes it ask again, so that a rotated key is
 * picked up, but not more often than every few seconds, whatever ids are made up. Resolves to undefined for an unknown
 * key; rejects where the auth service doesn't answer and no keys are at hand.
 */
export function createJwks(url: string): (kid: string) => Promise<string | undefined> {
  let keys = new Map<string, string>();
  let askedAt = Number.NEGATIVE_INFINITY;
  let freshUntil = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;

  async function ask(): Promise<void> {
    askedAt = performance.now();
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN) });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    const { keys: found } = jwksSchema.parse(await response.json());
    keys = new Map(found.flatMap(readable));
    freshUntil = performance.now() + FRESH_FOR;
  }

  return async (kid) => {
    const now = performance.now();
    const stale = now > freshUntil || !keys.has(kid);
    if (stale && now - askedAt >= ASK_AGAIN) {
      asking = ask().finally(() => {
        asking = undefined;
      });
      // Whoever has the key at hand doesn't wait for this, and a rejection that nobody waits for would end the process.
      asking.catch(() => undefined);
    }
    // Keys at hand are good enough while the auth service is away.
    if (!keys.has(kid)) await asking;
    return keys.get(kid);
  };
}

/** A key under its id; nothing where it has no id or is of a kind that isn't known here: the others still count. */
function readable(key: unknown): [kid: string, pem: string][] {
  const parsed = keySchema.safeParse(key);
  if (!parsed.success) return [];
  try {
    const pem = createPublicKey({ key: parsed.data as JsonWebKey, format: 'jwk' }).export({ type: 'spki', format: 'pem' });
    return [[parsed.data.kid, pem.toString()]];
  } catch {
    return [];
  }
}
