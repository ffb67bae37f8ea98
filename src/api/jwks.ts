import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { z } from 'zod';

/** How long keys are believed, how soon an unknown key id is asked for again, and how long an answer may take; in ms. */
const FRESH_FOR = 600_000;
const ASK_AGAIN = 5_000;
const ANSWER_WITHIN = 2_000;

const jwksSchema = z.object({ keys: z.array(z.unknown()) });
const keySchema = z.looseObject({ kid: z.string(), kty: z.string() });

/** No key is at hand for a token, and the auth service, which may know it, can't be asked now. */
export class AuthUnavailableError extends Error {
  override readonly name = 'AuthUnavailableError';
}

/**
 * The public keys of the auth service, as PEM by key id. An unknown id makes it ask again, so that a rotated key is
 * picked up, but not more often than every few seconds, whatever ids are made up. Resolves to undefined for a key that
 * the auth service doesn't know; rejects with AuthUnavailableError where it doesn't answer and the key isn't at hand.
 * A key that was withdrawn is believed for ten minutes at the most, and while the auth service is away.
 */
export function createJwks(url: string): (kid: string) => Promise<string | undefined> {
  let keys = new Map<string, string>();
  let askedAt = Number.NEGATIVE_INFINITY;
  let freshUntil = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;
  /** Why the last attempt failed, if it did: what is not known then may be known to the auth service. */
  let failure: AuthUnavailableError | undefined;

  async function ask(): Promise<void> {
    askedAt = performance.now();
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_WITHIN) });
      if (!response.ok) throw new Error(`${url} answered ${response.status}`);
      const { keys: found } = jwksSchema.parse(await response.json());
      keys = new Map(found.flatMap(readable));
      freshUntil = performance.now() + FRESH_FOR;
      failure = undefined;
    } catch (error) {
      failure = new AuthUnavailableError('the auth service does not answer', { cause: error });
    }
  }

  return async (kid) => {
    const now = performance.now();
    const areOld = now > freshUntil;
    if ((areOld || !keys.has(kid)) && now - askedAt >= ASK_AGAIN) {
      asking = ask().finally(() => {
        asking = undefined;
      });
    }
    // Old keys are good enough while the auth service is away: nobody waits for it again who has the key at hand.
    if (!keys.has(kid) || (areOld && failure === undefined)) await asking;
    const key = keys.get(kid);
    if (key === undefined && failure !== undefined) throw failure;
    return key;
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
