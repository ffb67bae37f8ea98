import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalJson, type Json, sha256 } from '../../src/events/canonical.ts';

/** JSON with every kind of text that JSON holds: no lone surrogates, which no encoder agrees on. */
const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '\u2028', '"\\', '\u0000', '__proto__', '10', '9'),
);
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(-0, 5e-324, 1e21, 1e-7),
);
const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constant(null),
    fc.boolean(),
    number,
    text,
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(text, tie('value'), { maxKeys: 6 }),
  ),
})).value as fc.Arbitrary<Json>;

test('agrees with the canonicalize package on any JSON', () => {
  fc.assert(
    fc.property(json, (value) => {
      expect(canonicalJson(value)).toBe(canonicalize(value));
    }),
    { numRuns: 2_000 },
  );
});

test('says the same as the value, and the same again once parsed', () => {
  fc.assert(
    fc.property(json, (value) => {
      const written = canonicalJson(value);
      expect(JSON.parse(written)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(canonicalJson(JSON.parse(written) as Json)).toBe(written);
    }),
    { numRuns: 500 },
  );
});

test('the order in which members were written changes nothing', () => {
  expect(canonicalJson({ b: 1, a: { d: 2, c: 3 } })).toBe('{"a":{"c":3,"d":2},"b":1}');
  expect(canonicalJson({ a: { c: 3, d: 2 }, b: 1 })).toBe('{"a":{"c":3,"d":2},"b":1}');
});

// https://www.rfc-editor.org/rfc/rfc8785#section-3.2.3: by UTF-16 code units, not by code points.
test('sorts members as the RFC shows', () => {
  const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\u{1f600}': 5, '\u0080': 6, '\u00f6': 7 };
  expect(canonicalJson(value)).toBe('{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}');
});

test('members that are undefined are left out', () => {
  expect(canonicalJson({ a: undefined, b: 1, c: undefined })).toBe('{"b":1}');
  expect(canonicalJson({ a: undefined })).toBe('{}');
});

test('a number that JSON can not hold is refused', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    expect(() => canonicalJson({ deep: [value] })).toThrow(TypeError);
  }
});

test('hashes are those of the UTF-8 bytes', () => {
  expect(sha256('').toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  expect(sha256('ü').equals(sha256(Buffer.from([0xc3, 0xbc]).toString('utf8')))).toBe(true);
});
