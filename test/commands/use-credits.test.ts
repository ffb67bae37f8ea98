import { test } from 'vitest';
import { MAX_TOTAL, micro, ZERO } from '../../src/events/amounts.ts';
import { consumed, credits, expired, granted, iso, minute, opened, reserved, use } from '../support/account-samples.ts';
import { given } from '../support/given.ts';

const HUNDRED = [opened(), granted({ amount: credits(100) })];

test('consumes in one step', () => {
  given(...HUNDRED)
    .when({ ...use(credits(30)), operation: 'image', appId: 'studio', personal: '1.k.c' })
    .then(
      consumed({
        amount: credits(30),
        fromAvailable: [[1, credits(30)]],
        operation: 'image',
        appId: 'studio',
        personal: '1.k.c',
        after: { available: credits(70), earned: credits(100), spent: credits(30) },
      }),
    );
});

test('consumes all there is, and then nothing more', () => {
  given(...HUNDRED)
    .when(use(credits(100)))
    .then(
      consumed({
        amount: credits(100),
        fromAvailable: [[1, credits(100)]],
        after: { earned: credits(100), spent: credits(100) },
      }),
    );
  given(...HUNDRED, consumed({ amount: credits(100), fromAvailable: [[1, credits(100)]] }))
    .when(use(credits(1)))
    .then({ code: 'insufficient_credits', required: credits(1), available: ZERO, operation: 'chat' });
});

test('leaves what holds keep', () => {
  given(...HUNDRED, reserved({ amount: credits(80), lots: [[1, credits(80)]] }))
    .when(use(credits(21)))
    .then({ code: 'insufficient_credits', required: credits(21), available: credits(20), operation: 'chat' });
});

test('leaves what has run out', () => {
  given(opened(), granted({ amount: credits(5), expiresAt: iso(minute(1)) }), granted({ amount: credits(3), reference: 'r2' }))
    .at(minute(1))
    .when(use(credits(4)))
    .then(expired({ lots: [[1, credits(5)]], after: { available: credits(3), earned: credits(8) } }), {
      code: 'insufficient_credits',
      required: credits(4),
      available: credits(3),
      operation: 'chat',
    });
});

test('an account that nobody opened has nothing to use', () => {
  given()
    .when(use(credits(1)))
    .then({ code: 'insufficient_credits', required: credits(1), available: ZERO, operation: 'chat' });
});

test('refuses what would lift all that was ever spent above the bound, to the micro-credit', () => {
  const spent = (amount: number) =>
    granted({ amount: credits(5), after: { available: credits(5), earned: credits(5), spent: micro(amount) } });
  given(opened(), spent(MAX_TOTAL))
    .when(use(micro(1)))
    .then({ code: 'limit_exceeded', limit: 'totalSpent', maximum: MAX_TOTAL });
  const after = { available: micro(credits(5) - 1), earned: credits(5), spent: MAX_TOTAL };
  given(opened(), spent(MAX_TOTAL - 1))
    .when(use(micro(1)))
    .then(consumed({ amount: micro(1), fromAvailable: [[1, micro(1)]], after }));
});
