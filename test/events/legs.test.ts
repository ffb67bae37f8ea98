import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountSchemas, type LotAmounts } from '../../src/events/account-events.ts';
import { type Micro, micro, ZERO } from '../../src/events/amounts.ts';
import { readEvent, type Recorded } from '../../src/events/event-types.ts';
import { legsOf } from '../../src/events/legs.ts';
import { sumOfLots } from '../../src/events/lot-changes.ts';
import { consumed, credits, expired, granted, opened, released, reserved, type Sample } from '../support/account-samples.ts';
import { eventFixture } from '../support/event-fixtures.ts';

const HERE = 'account-u1';
const AVAILABLE = `available:${HERE}`;
const RESERVED = `reserved:${HERE}`;

function recorded({ type, data, by = 'writer' }: Sample): Recorded {
  const { metadata, ...stored } = readEvent(eventFixture('AccountOpened.v1'));
  const actor = { kind: 'service', app: by, key: 'k1' } as const;
  return { ...stored, stream: HERE, type, data, metadata: { ...metadata, actor } } as unknown as Recorded;
}

function legsBy(sample: Sample): { readonly [account: string]: number } {
  return Object.fromEntries(legsOf(recorded(sample)).map(({ account, amount }) => [account, amount]));
}

function total(event: Recorded): number {
  return legsOf(event).reduce((sum, { amount }) => sum + amount, 0);
}

test('opening an account moves nothing', () => {
  expect(legsBy(opened())).toEqual({});
});

test('a grant comes from its source', () => {
  expect(legsBy(granted({ amount: credits(5), source: 'goodwill' }))).toEqual({
    'source:goodwill': -credits(5),
    [AVAILABLE]: credits(5),
  });
});

test('a hold goes from what can be spent to what is reserved', () => {
  expect(legsBy(reserved({ amount: credits(5), lots: [[1, credits(5)]] }))).toEqual({
    [AVAILABLE]: -credits(5),
    [RESERVED]: credits(5),
  });
});

test('a consumption goes from what can be spent to the app that acted', () => {
  expect(
    legsBy(
      consumed({
        amount: credits(5),
        fromAvailable: [
          [1, credits(2)],
          [3, credits(3)],
        ],
        by: 'studio',
      }),
    ),
  ).toEqual({
    [AVAILABLE]: -credits(5),
    'consumed:studio': credits(5),
  });
});

test('a commit of less gives back the rest, and what lapsed has expired', () => {
  const sample = consumed({
    amount: credits(5),
    reservation: 2,
    fromHold: [[1, credits(5)]],
    returned: [[3, credits(7)]],
    lapsed: [[1, credits(1)]],
  });
  expect(legsBy(sample)).toEqual({
    [RESERVED]: -credits(13),
    [AVAILABLE]: credits(7),
    'consumed:writer': credits(5),
    expired: credits(1),
  });
});

test('a commit of more takes the excess from what can be spent', () => {
  const sample = consumed({ amount: credits(8), reservation: 2, fromHold: [[1, credits(5)]], fromAvailable: [[1, credits(3)]] });
  expect(legsBy(sample)).toEqual({ [RESERVED]: -credits(5), [AVAILABLE]: -credits(3), 'consumed:writer': credits(8) });
});

test('a commit of nothing from a hold that had run out moves nothing', () => {
  expect(legsBy(consumed({ amount: ZERO, reservation: 2 }))).toEqual({});
});

test('a release gives back, or lapses', () => {
  const sample = released({ reservation: 2, amount: credits(9), returned: [[1, credits(4)]], lapsed: [[3, credits(5)]] });
  expect(legsBy(sample)).toEqual({ [RESERVED]: -credits(9), [AVAILABLE]: credits(4), expired: credits(5) });
});

test('expiry gives back what holds kept, and takes what lots had left', () => {
  const sample = expired({
    holds: [[2, credits(9)]],
    returned: [[1, credits(9)]],
    lots: [
      [1, credits(4)],
      [3, credits(1)],
    ],
  });
  expect(legsBy(sample)).toEqual({ [RESERVED]: -credits(9), [AVAILABLE]: credits(4), expired: credits(5) });
});

test.each(Object.keys(accountSchemas))('a stored %s balances', (type) => {
  const event = readEvent(eventFixture(`${type}.v1`));
  expect(total(event)).toBe(0);
  expect(legsOf(event).every(({ amount }) => amount !== 0)).toBe(true);
});

const amount = fc.integer({ min: 1, max: 1_000_000_000_000 }).map(micro);
const lots: fc.Arbitrary<LotAmounts> = fc.array(fc.tuple(fc.nat(500), amount), { maxLength: 8 });
const sumOf = (...parts: readonly LotAmounts[]): Micro => micro(parts.reduce((sum, part) => sum + sumOfLots(part), 0));

test('whatever lots an event touches, its legs sum to zero', () => {
  const samples = fc.oneof(
    amount.map((one) => granted({ amount: one })),
    lots.map((held) => reserved({ amount: sumOf(held), lots: held })),
    fc
      .tuple(lots, lots, lots, lots)
      .map(([fromHold, fromAvailable, returned, lapsed]) =>
        consumed({ amount: sumOf(fromHold, fromAvailable), reservation: 2, fromHold, fromAvailable, returned, lapsed }),
      ),
    fc
      .tuple(lots, lots)
      .map(([returned, lapsed]) => released({ reservation: 2, amount: sumOf(returned, lapsed), returned, lapsed })),
    fc.tuple(lots, lots).map(([held, over]) => expired({ holds: [[2, sumOf(held)]], returned: held, lots: over })),
  );
  fc.assert(
    fc.property(samples, (sample) => {
      expect(total(recorded(sample))).toBe(0);
    }),
    { numRuns: 500 },
  );
});
