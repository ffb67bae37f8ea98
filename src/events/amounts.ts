/**
 * Amounts of credits: integer micro-credits in a branded number, never a float.
 * One credit is 1,000,000 micro-credits; on the wire amounts are JSON numbers of credits with at most six decimals.
 */

declare const brand: unique symbol;

/** An amount in micro-credits: a safe integer. */
export type Micro = number & { readonly [brand]: true };

export const MICRO_PER_CREDIT = 1_000_000;

/** The largest amount that a caller may name: 1,000,000,000 credits. */
export const MAX_AMOUNT = (1_000_000_000 * MICRO_PER_CREDIT) as Micro;

/**
 * The largest balance or lifetime total: 4,000,000,000 credits. Up to here the shortest decimal digits of the
 * double `micro / 1e6` have at most six decimals, so that every amount crosses the wire exactly.
 */
export const MAX_TOTAL = (4_000_000_000 * MICRO_PER_CREDIT) as Micro;

export const ZERO = 0 as Micro;

/** Brands an integer as micro-credits. Throws a RangeError for anything but a safe integer: that is a bug. */
export function micro(value: number): Micro {
  if (!Number.isSafeInteger(value)) throw new RangeError(`not an amount of micro-credits: ${value}`);
  return value as Micro;
}

/** a + b, checked. */
export function plus(a: Micro, b: Micro): Micro {
  return micro(a + b);
}

/** a − b, checked; may be negative. */
export function minus(a: Micro, b: Micro): Micro {
  return micro(a - b);
}

/** The smaller of two amounts. */
export function least(a: Micro, b: Micro): Micro {
  return a < b ? a : b;
}

/**
 * Micro-credits from a number of credits as it came over the wire, taken from its shortest decimal digits, so that
 * 0.1 is 100,000 exactly. Returns undefined for what is no such amount: negative, not finite, more than six
 * decimals, above MAX_AMOUNT.
 */
export function microFromCredits(credits: number): Micro | undefined {
  // JSON has -0, and its digits are "0".
  const match = /^(\d{1,10})(?:\.(\d{1,6}))?$/.exec(String(credits));
  if (match === null) return undefined;
  const value = Number(match[1]) * MICRO_PER_CREDIT + Number((match[2] ?? '').padEnd(6, '0'));
  return value <= MAX_AMOUNT ? micro(value) : undefined;
}

/** What a count of units costs at `cost` for each `per`, rounded up to the micro-credit; undefined above MAX_AMOUNT. */
export function costOf(cost: Micro, units: number, per: number): Micro | undefined {
  const amount = (BigInt(cost) * BigInt(units) + BigInt(per) - 1n) / BigInt(per);
  return amount > BigInt(MAX_AMOUNT) ? undefined : micro(Number(amount));
}

/** How many whole bundles of `per` some units make. */
export function wholeBundles(units: number, per: number): number {
  return Math.floor(units / per);
}

/** Credits, for the wire: a division, exact in its shortest digits up to MAX_TOTAL. */
export function creditsFromMicro(amount: Micro): number {
  return amount / MICRO_PER_CREDIT;
}

/** Credits as decimal digits without a float on the way, for messages and tables. */
export function formatCredits(amount: Micro): string {
  const sign = amount < 0 ? '-' : '';
  const digits = Math.abs(amount).toString().padStart(7, '0');
  const decimals = digits.slice(-6).replace(/0+$/, '');
  return `${sign}${digits.slice(0, -6)}${decimals === '' ? '' : `.${decimals}`}`;
}
