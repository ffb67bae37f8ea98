import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  creditsFromMicro,
  formatCredits,
  least,
  MAX_AMOUNT,
  MAX_TOTAL,
  micro,
  microFromCredits,
  minus,
  plus,
} from '../../src/events/amounts.ts';

test.each([
  [0, 0],
  [-0, 0],
  [1, 1_000_000],
  [0.1, 100_000],
  [0.02, 20_000],
  [0.000001, 1],
  [1e-6, 1],
  [1.5e-5, 15],
  [0.3, 300_000],
  [1.005, 1_005_000],
  [19.99, 19_990_000],
  [4.35, 4_350_000],
  [123456.654321, 123_456_654_321],
  [999_999_999.999999, 999_999_999_999_999],
  [1e9, 1_000_000_000_000_000],
])('%d credits are %d micro-credits', (credits, expected) => {
  expect(microFromCredits(credits)).toBe(expected);
  expect(Object.is(microFromCredits(credits), -0)).toBe(false);
});

test.each([
  -1,
  -0.000001,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  1e-7,
  5e-324,
  0.0000001,
  0.1234567,
  0.1 + 0.2,
  1.1 * 3,
  1_000_000_000.000001,
  1_000_000_001,
  9_999_999_999,
  1e10,
  1e21,
  Number.MAX_VALUE,
])('%d credits are no amount', (credits) => {
  expect(microFromCredits(credits)).toBeUndefined();
});

const amounts = fc.oneof(
  fc.maxSafeNat().map((value) => value % (MAX_AMOUNT + 1)),
  fc.nat(10_000_000),
  fc.constantFrom(0, 1, MAX_AMOUNT),
);

test('every amount that a caller may name comes back from the wire as it was', () => {
  fc.assert(
    fc.property(amounts, (value) => {
      const overTheWire = JSON.parse(JSON.stringify(creditsFromMicro(micro(value)))) as number;
      expect(microFromCredits(overTheWire)).toBe(value);
    }),
    { numRuns: 2_000 },
  );
});

test('every balance up to the largest total is on the wire in at most six decimals, exactly', () => {
  const totals = fc.oneof(
    fc.integer({ min: MAX_TOTAL - 1_000_000_000, max: MAX_TOTAL }),
    fc.maxSafeNat().map((value) => value % (MAX_TOTAL + 1)),
  );
  fc.assert(
    fc.property(totals, (value) => {
      const written = JSON.stringify(creditsFromMicro(micro(value)));
      // Where a double is written with an exponent it is tiny: JavaScript does so below 1e-6 only.
      const [, whole = '', decimals = ''] = /^(\d+)(?:\.(\d{1,6}))?$/.exec(written) ?? [];
      expect(`${whole}${decimals.padEnd(6, '0')}`.replace(/^0+(?=\d)/, '')).toBe(String(value));
    }),
    { numRuns: 5_000 },
  );
});

test('what a caller writes in decimal digits is what is booked', () => {
  fc.assert(
    fc.property(fc.nat(999_999_999), fc.nat(999_999), (whole, millionths) => {
      const digits = `${whole}.${String(millionths).padStart(6, '0')}`;
      expect(microFromCredits(JSON.parse(digits) as number)).toBe(whole * 1_000_000 + millionths);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  [0, '0'],
  [1, '0.000001'],
  [100_000, '0.1'],
  [-1_500_000, '-1.5'],
  [20_000_000, '20'],
  [MAX_TOTAL, '4000000000'],
  [MAX_TOTAL - 1, '3999999999.999999'],
])('%d micro-credits are written %s', (value, expected) => {
  expect(formatCredits(micro(value))).toBe(expected);
});

test('an amount that is no safe integer is a bug', () => {
  for (const value of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) expect(() => micro(value)).toThrow(RangeError);
  expect(() => plus(micro(Number.MAX_SAFE_INTEGER), micro(1))).toThrow(RangeError);
  expect(() => minus(micro(-Number.MAX_SAFE_INTEGER), micro(1))).toThrow(RangeError);
});

test('sums and differences are exact', () => {
  expect(plus(MAX_TOTAL, MAX_AMOUNT)).toBe(5_000_000_000_000_000);
  expect(minus(micro(1), micro(3))).toBe(-2);
  expect(least(micro(3), micro(2))).toBe(2);
  expect(least(micro(2), micro(3))).toBe(2);
});
