import { canonicalJson, sha256Base64 } from './canonical.ts';

/**
 * Claims: what may stand once in a stream, for ever. A claim is the SHA-256 of a canonical JSON array, in base64url.
 */

/** An idempotency key, within whoever calls: `app:{app}` or `user:{sub}`. */
export function keyClaim(caller: string, key: string): string {
  return sha256Base64(canonicalJson(['key', caller, key]));
}

/** What credits went into, and which one: taken once per account. */
export function debitClaim(reason: string, reference: string): string {
  return sha256Base64(canonicalJson(['debit', reason, reference]));
}

/** A grant's reason and reference: given once per account, whichever app asks. */
export function grantClaim(reason: string, reference: string): string {
  return sha256Base64(canonicalJson(['grant', reason, reference]));
}
