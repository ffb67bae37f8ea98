/*
 * Credits in decimal digits and back, in bigint: written here a second time, so that the replay checks the ledger and
 * not the ledger's own arithmetic.
 */

/** Credits for people and for the wire. */
export function toCredits(micro: bigint): string {
  const whole = micro / 1_000_000n;
  const decimals = (micro % 1_000_000n).toString().padStart(6, '0').replace(/0+$/, '');
  return decimals === '' ? `${whole}` : `${whole}.${decimals}`;
}

/** Micro-credits from a number of credits in an answer. Throws for what is no amount with at most six decimals. */
export function fromCredits(credits: unknown): bigint {
  const match = /^(\d+)(?:\.(\d{1,6}))?$/.exec(String(credits));
  if (match === null) throw new Error(`not an amount of credits: ${String(credits)}`);
  return BigInt(match[1] ?? '') * 1_000_000n + BigInt((match[2] ?? '').padEnd(6, '0'));
}
