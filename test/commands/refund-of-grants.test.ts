import { describe, test } from 'vitest';
import { micro, ZERO } from '../../src/events/amounts.ts';
import {
  consumed,
  credits,
  granted,
  iso,
  minute,
  opened,
  refund,
  refunded,
  released,
  reserved,
} from '../support/account-samples.ts';
import { given } from '../support/given.ts';
import { frozen, revoked, unfrozen } from '../support/grant-samples.ts';

/** Refunds of what was taken from grants that a payment's dispute or refund has touched meanwhile. */
const LASTING = 30 * 24 * 60;
const FRESH = { priority: 50, expiresAt: iso(minute(LASTING)) };
const plainly = (revision: number) => ({ revision, priority: 50, expiresAt: null, frozen: false });

/** Event 2 took four of the ten credits that event 1 gave. */
const SOME_USED = [
  opened(),
  granted({ amount: credits(10), source: 'purchase' }),
  consumed({ amount: credits(4), fromAvailable: [[1, credits(4)]] }),
];
/** Event 2 took all. */
const ALL_USED = [...SOME_USED.slice(0, 2), consumed({ amount: credits(10), fromAvailable: [[1, credits(10)]] })];
const GRANT = { grant: 1, granted: credits(10) };
const EARNED = { earned: credits(10) };

describe('a frozen lot', () => {
  test('takes back what is its own, and keeps it from being spent', () => {
    given(...SOME_USED, frozen({ ...GRANT, amount: credits(6) }))
      .when(refund(2, credits(3)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(3),
          toFrozen: [[1, credits(3)]],
          after: { ...EARNED, frozen: credits(9), spent: credits(1) },
        }),
      );
  });

  test('does so where nothing was left of it, and past its end', () => {
    const ending = { expiresAt: iso(minute(5)) };
    const used = [opened(), granted({ amount: credits(10), ...ending }), ALL_USED[2] as (typeof ALL_USED)[number]];
    given(...used, frozen({ ...GRANT, ...ending, amount: ZERO, reopened: { priority: 50, ...ending } }))
      .at(minute(6))
      .when(refund(2, credits(10)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(10),
          toFrozen: [[1, credits(10)]],
          after: { ...EARNED, frozen: credits(10) },
        }),
      );
  });

  test('stands beside one that is not: each gets its own', () => {
    given(
      opened(),
      granted({ amount: credits(10) }),
      granted({ amount: credits(10), reference: 'r2' }),
      consumed({
        amount: credits(12),
        fromAvailable: [
          [1, credits(10)],
          [2, credits(2)],
        ],
      }),
      frozen({ grant: 2, granted: credits(10), amount: credits(8) }),
    )
      .when(refund(3, credits(5)))
      .then(
        refunded({
          consumption: 3,
          amount: credits(5),
          restored: [[1, credits(3)]],
          toFrozen: [[2, credits(2)]],
          reopened: [plainly(1)],
          after: { earned: credits(20), available: credits(3), frozen: credits(10), spent: credits(7) },
        }),
      );
  });

  test('that was thawed with a new end has that end', () => {
    const ending = { expiresAt: iso(minute(5)) };
    const used = [opened(), granted({ amount: credits(10), ...ending }), ALL_USED[2] as (typeof ALL_USED)[number]];
    const thawed = [
      frozen({ ...GRANT, ...ending, amount: ZERO, reopened: { priority: 50, ...ending } }),
      unfrozen({ ...GRANT, amount: ZERO, expiresAt: iso(minute(50)) }),
    ];
    given(...used, ...thawed)
      .at(minute(6))
      .when(refund(2, credits(1)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(1),
          restored: [[1, credits(1)]],
          reopened: [{ ...plainly(1), expiresAt: iso(minute(50)) }],
          after: { ...EARNED, available: credits(1), spent: credits(9), dueAt: iso(minute(50)) },
        }),
      );
  });
});

describe('a lot that was revoked stays revoked', () => {
  test('what was taken from it comes back as a fresh one', () => {
    const other = granted({ amount: credits(10), reference: 'r2' });
    given(
      opened(),
      granted({ amount: credits(10) }),
      other,
      consumed({ amount: credits(10), fromAvailable: [[1, credits(10)]] }),
      revoked({ ...GRANT, amount: credits(10), revoked: credits(10), fromAvailable: [[2, credits(10)]] }),
    )
      .when(refund(3, credits(10)))
      .then(
        refunded({
          consumption: 3,
          amount: credits(10),
          fresh: { ...FRESH, amount: credits(10) },
          after: { earned: credits(20), available: credits(10), dueAt: FRESH.expiresAt },
        }),
      );
  });

  test('also where the state still knows it, since a hold kept some of it', () => {
    given(
      ...SOME_USED,
      reserved({ amount: credits(6), lots: [[1, credits(6)]] }),
      revoked({ ...GRANT, amount: credits(10), revoked: credits(10), debt: credits(10) }),
      released({ reservation: 3, amount: credits(6), returned: [[1, credits(6)]] }),
      granted({ amount: credits(9), reference: 'r2' }),
      // Owed were ten: six of the hold and four of the grant went for them.
    )
      .when(refund(2, credits(4)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(4),
          fresh: { ...FRESH, amount: credits(4) },
          after: { earned: credits(19), available: credits(9), dueAt: FRESH.expiresAt },
        }),
      );
    given(
      ...SOME_USED,
      reserved({ amount: credits(6), lots: [[1, credits(6)]] }),
      revoked({ ...GRANT, amount: credits(10), revoked: credits(10), debt: credits(10) }),
    )
      .when(refund(2, credits(4)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(4),
          fresh: { ...FRESH, amount: credits(4) },
          debtPaid: [[5, credits(4)]],
          after: { ...EARNED, reserved: credits(6), debt: credits(6), dueAt: iso(minute(15)) },
        }),
      );
  });

  test('but not where a part of it was: the lot itself takes the rest', () => {
    given(
      ...SOME_USED,
      revoked({ ...GRANT, amount: credits(7), revoked: credits(7), fromAvailable: [[1, credits(6)]], debt: credits(1) }),
    )
      .when(refund(2, credits(4)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(4),
          restored: [[1, credits(4)]],
          reopened: [plainly(1)],
          debtPaid: [[1, credits(1)]],
          after: { ...EARNED, available: credits(3) },
        }),
      );
  });
});

describe('debt is paid first', () => {
  const OWING = [...ALL_USED, revoked({ ...GRANT, amount: credits(10), revoked: credits(10), debt: credits(10) })];

  test('a refund below it leaves nothing to spend', () => {
    given(...OWING)
      .when(refund(2, credits(4)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(4),
          fresh: { ...FRESH, amount: credits(4) },
          debtPaid: [[4, credits(4)]],
          after: { ...EARNED, debt: credits(6), spent: credits(6) },
        }),
      );
  });

  test('a refund above it leaves the rest, to the micro-credit', () => {
    const more = [
      opened(),
      granted({ amount: credits(10) }),
      granted({ amount: credits(5), reference: 'r2' }),
      consumed({
        amount: credits(15),
        fromAvailable: [
          [1, credits(10)],
          [2, credits(5)],
        ],
      }),
      revoked({ ...GRANT, amount: micro(2_999_999), revoked: micro(2_999_999), debt: micro(2_999_999) }),
    ];
    given(...more)
      .when(refund(3, credits(5)))
      .then(
        refunded({
          consumption: 3,
          amount: credits(5),
          restored: [[2, credits(5)]],
          reopened: [plainly(2)],
          debtPaid: [[2, micro(2_999_999)]],
          after: { earned: credits(15), available: micro(2_000_001), spent: credits(10) },
        }),
      );
  });

  test('not by what goes back to a frozen lot', () => {
    given(
      opened(),
      granted({ amount: credits(10) }),
      granted({ amount: credits(5), reference: 'r2' }),
      consumed({
        amount: credits(15),
        fromAvailable: [
          [1, credits(10)],
          [2, credits(5)],
        ],
      }),
      revoked({ ...GRANT, amount: credits(10), revoked: credits(10), debt: credits(10) }),
      frozen({ grant: 2, granted: credits(5), amount: ZERO, reopened: { priority: 50, expiresAt: null } }),
    )
      .when(refund(3, credits(5)))
      .then(
        refunded({
          consumption: 3,
          amount: credits(5),
          toFrozen: [[2, credits(5)]],
          after: { earned: credits(15), frozen: credits(5), debt: credits(10), spent: credits(10) },
        }),
      );
  });
});
