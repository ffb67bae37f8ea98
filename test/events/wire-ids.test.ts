import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseWireId, wireId } from '../../src/events/wire-ids.ts';

test('names stream and revision', () => {
  expect(wireId('rsv', { stream: 'account-u1', revision: 42 })).toBe('rsv_42_account-u1');
  expect(parseWireId('rsv', 'rsv_42_account-u1')).toEqual({ stream: 'account-u1', revision: 42 });
  expect(wireId('txn', { stream: 'account-a_b', revision: 0 })).toBe('txn_0_account-a_b');
  expect(parseWireId('txn', 'txn_0_account-a_b')).toEqual({ stream: 'account-a_b', revision: 0 });
});

test('what a URL would have to escape stands in base64url', () => {
  const id = wireId('rsv', { stream: 'account-auth0|ü/1', revision: 7 });
  expect(id).toMatch(/^rsv_7_~[A-Za-z0-9_-]+$/);
  expect(parseWireId('rsv', id)).toEqual({ stream: 'account-auth0|ü/1', revision: 7 });
});

test('every stream and revision comes back, in characters that a URL takes as they are', () => {
  const names = fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => !name.includes('\u0000'));
  fc.assert(
    fc.property(fc.constantFrom('rsv', 'txn'), names, fc.nat(999_999_999), (kind, stream, revision) => {
      const id = wireId(kind, { stream, revision });
      expect(encodeURIComponent(id)).toBe(id);
      expect(parseWireId(kind, id)).toEqual({ stream, revision });
    }),
    { numRuns: 1_000 },
  );
});

test.each([
  '',
  'rsv',
  'rsv_1',
  'rsv_1_',
  'rsv_1_~',
  'rsv__account-u1',
  'rsv_-1_account-u1',
  'rsv_01_account-u1',
  'rsv_1.5_account-u1',
  'rsv_1e3_account-u1',
  'rsv_9999999999999999_account-u1',
  'txn_1_account-u1',
  'RSV_1_account-u1',
  ' rsv_1_account-u1',
  'rsv_1_account-u1\n',
  'rsv_1_account-ü',
  'rsv_1_a/b',
  // What decodes to U+0000 or to no text at all is no stream that anybody could have named.
  `rsv_1_~${Buffer.from('account-\u0000').toString('base64url')}`,
  `rsv_1_~${Buffer.from([0x61, 0xff, 0xfe]).toString('base64url')}`,
])('%j is no id of a hold', (id) => {
  expect(parseWireId('rsv', id)).toBeUndefined();
});

test('any text at all is read without a fault', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.string().map((rest) => `rsv_1_${rest}`),
      ),
      (id) => {
        const ref = parseWireId('rsv', id);
        expect(ref === undefined || Number.isSafeInteger(ref.revision)).toBe(true);
      },
    ),
    { numRuns: 1_000 },
  );
});
