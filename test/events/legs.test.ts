import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LotAmounts } from '../../src/events/account-events.ts';
import { ZERO } from '../../src/events/amounts.ts';
import { readEvent, type Recorded } from '../../src/events/event-types.ts';
import { legsOf } from '../../src/events/legs.ts';
import {
  consumed,
  credits,
  expired,
  granted,
  opened,
  refunded,
  released,
  reserved,
  type Sample,
} from '../support/account-samples.ts';
import { anyMovement } from '../support/any-movement.ts';
import { eventFixture, fixtureNames } from '../support/event-fixtures.ts';
import { debited, frozen, revoked, unfrozen } from '../support/grant-samples.ts';

const HERE = 'account-u1';
const AVAILABLE = `available:${HERE}`;
const RESERVED = `reserved:${HERE}`;
const FROZEN = `frozen:${HERE}`;
const DEBT = `debt:${HERE}`;

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

test('a debit goes to what it was for', () => {
  expect(legsBy(debited({ amount: credits(5), lots: [[1, credits(5)]], reason: 'pool_funded' }))).toEqual({
    [AVAILABLE]: -credits(5),
    'debited:pool_funded': credits(5),
  });
});

test('a refund comes from the app that consumed, into what can be spent and into what is frozen', () => {
  const sample = refunded({
    consumption: 2,
    amount: credits(9),
    app: 'studio',
    restored: [[1, credits(2)]],
    toFrozen: [[3, credits(3)]],
    fresh: { amount: credits(4), priority: 50, expiresAt: null },
  });
  expect(legsBy(sample)).toEqual({ 'consumed:studio': -credits(9), [AVAILABLE]: credits(6), [FROZEN]: credits(3) });
});

test('a grant is frozen and thawed within the account', () => {
  const grant = { grant: 1, granted: credits(5), amount: credits(5) };
  expect(legsBy(frozen(grant))).toEqual({ [AVAILABLE]: -credits(5), [FROZEN]: credits(5) });
  expect(legsBy(unfrozen(grant))).toEqual({ [AVAILABLE]: credits(5), [FROZEN]: -credits(5) });
});

test('what is held of a frozen grant comes back frozen', () => {
  const toFrozen: LotAmounts = [[1, credits(5)]];
  const back = { amount: credits(5), reservation: 2, toFrozen };
  expect(legsBy(released(back))).toEqual({ [RESERVED]: -credits(5), [FROZEN]: credits(5) });
  expect(legsBy(consumed({ ...back, amount: ZERO }))).toEqual({ [RESERVED]: -credits(5), [FROZEN]: credits(5) });
  expect(legsBy(expired({ holds: [[2, credits(5)]], toFrozen }))).toEqual({
    [RESERVED]: -credits(5),
    [FROZEN]: credits(5),
  });
});

test('a revocation goes back to the source: out of the frozen grant, out of what can be spent, and as a debt', () => {
  const sample = revoked({
    grant: 1,
    granted: credits(10),
    amount: credits(10),
    revoked: credits(10),
    fromFrozen: credits(4),
    fromAvailable: [[2, credits(3)]],
    debt: credits(3),
  });
  expect(legsBy(sample)).toEqual({
    'source:purchase': credits(10),
    [FROZEN]: -credits(4),
    [AVAILABLE]: -credits(3),
    [DEBT]: -credits(3),
  });
});

test('what thaws with a revocation goes from what is frozen to what can be spent', () => {
  const one = credits(1);
  const sample = revoked({ grant: 1, granted: one, amount: one, revoked: one, fromFrozen: one, unfrozen: credits(6) });
  expect(legsBy(sample)).toEqual({ 'source:purchase': one, [FROZEN]: -credits(7), [AVAILABLE]: credits(6) });
});

test('what pays a debt goes from what the event brings to what is owed', () => {
  const debtPaid: LotAmounts = [[1, credits(2)]];
  expect(legsBy(granted({ amount: credits(5), debtPaid }))).toEqual({
    'source:promo': -credits(5),
    [AVAILABLE]: credits(3),
    [DEBT]: credits(2),
  });
  expect(legsBy(released({ reservation: 2, amount: credits(2), returned: [[1, credits(2)]], debtPaid }))).toEqual({
    [RESERVED]: -credits(2),
    [DEBT]: credits(2),
  });
});

test.each(fixtureNames())('a stored %s balances', (name) => {
  const event = readEvent(eventFixture(name));
  expect(total(event)).toBe(0);
  expect(legsOf(event).every(({ amount }) => amount !== 0)).toBe(true);
});

test('whatever lots an event touches, its legs sum to zero', () => {
  fc.assert(
    fc.property(anyMovement, (sample) => {
      expect(total(recorded(sample))).toBe(0);
    }),
    { numRuns: 1_000 },
  );
});
