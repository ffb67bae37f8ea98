import { test } from 'vitest';
import { micro, ZERO } from '../../src/events/amounts.ts';
import { credits, expired, granted, iso, minute, opened, reserved } from '../support/account-samples.ts';
import { given } from '../support/given.ts';
import { debit, debited, frozen } from '../support/grant-samples.ts';

const TWO_LOTS = [
  opened(),
  granted({ amount: credits(10), priority: 90 }),
  granted({ amount: credits(10), reference: 'r2', priority: 10 }),
];
const EARNED = { earned: credits(20) };

test('takes from what can be spent, in spending order, and is no consumption', () => {
  given(...TWO_LOTS)
    .when(debit(credits(15), { reason: 'pool_funded', reference: 'guild-1', appId: 'shop', personal: '1.k.c' }))
    .then(
      debited({
        amount: credits(15),
        lots: [
          [2, credits(10)],
          [1, credits(5)],
        ],
        reason: 'pool_funded',
        reference: 'guild-1',
        appId: 'shop',
        personal: '1.k.c',
        after: { ...EARNED, available: credits(5) },
      }),
    );
});

test('takes all there is, and nothing more by a micro-credit', () => {
  given(...TWO_LOTS)
    .when(debit(credits(20)))
    .then(
      debited({
        amount: credits(20),
        lots: [
          [2, credits(10)],
          [1, credits(10)],
        ],
        after: EARNED,
      }),
    );
  const tooMuch = micro(credits(20) + 1);
  given(...TWO_LOTS)
    .when(debit(tooMuch))
    .then({ code: 'insufficient_credits', required: tooMuch, available: credits(20), operation: null });
});

test('what holds keep and what is frozen is not to be had', () => {
  const kept = [
    reserved({ amount: credits(4), lots: [[2, credits(4)]] }),
    frozen({ grant: 1, granted: credits(10), amount: credits(10) }),
  ];
  given(...TWO_LOTS, ...kept)
    .when(debit(credits(7)))
    .then({ code: 'insufficient_credits', required: credits(7), available: credits(6), operation: null });
});

test('what has run out is not to be had', () => {
  given(opened(), granted({ amount: credits(10), expiresAt: iso(minute(1)) }))
    .at(minute(1))
    .when(debit(credits(1)))
    .then(expired({ lots: [[1, credits(10)]], after: { earned: credits(10) } }), {
      code: 'insufficient_credits',
      required: credits(1),
      available: ZERO,
      operation: null,
    });
});

test('an account that nobody opened has nothing', () => {
  given()
    .when(debit(credits(1)))
    .then({ code: 'insufficient_credits', required: credits(1), available: ZERO, operation: null });
});

test('takes once for a reason and reference, whoever asks and whatever is left', () => {
  const paid = debited({
    amount: credits(20),
    lots: [
      [2, credits(10)],
      [1, credits(10)],
    ],
  });
  given(...TWO_LOTS, paid)
    .by('another')
    .when(debit(credits(20)))
    .then({ unchanged: 3 });
});

test('another reason or another reference is another debit', () => {
  const first = debited({ amount: credits(1), lots: [[2, credits(1)]] });
  const after = { ...EARNED, available: credits(18) };
  given(...TWO_LOTS, first)
    .when(debit(credits(1), { reference: 'XYZ789' }))
    .then(debited({ amount: credits(1), lots: [[2, credits(1)]], reference: 'XYZ789', after }));
  given(...TWO_LOTS, first)
    .when(debit(credits(1), { reason: 'pool_funded' }))
    .then(debited({ amount: credits(1), lots: [[2, credits(1)]], reason: 'pool_funded', after }));
});
