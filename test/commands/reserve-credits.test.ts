import { test } from 'vitest';
import { ZERO } from '../../src/events/amounts.ts';
import { credits, expired, granted, iso, minute, opened, reserve, reserved } from '../support/account-samples.ts';
import { given } from '../support/given.ts';

const HUNDRED = [opened(), granted({ amount: credits(100) })];

test('holds what is asked until its time', () => {
  given(...HUNDRED)
    .at(minute(1))
    .when(reserve({ amount: credits(30), ttl: 60_000, operation: 'image', appId: 'studio', personal: '1.k.c' }))
    .then(
      reserved({
        amount: credits(30),
        lots: [[1, credits(30)]],
        expiresAt: iso(minute(2)),
        operation: 'image',
        appId: 'studio',
        personal: '1.k.c',
        after: { available: credits(70), reserved: credits(30), earned: credits(100), dueAt: iso(minute(2)) },
      }),
    );
});

test('holds all there is, and nothing beyond', () => {
  given(...HUNDRED)
    .when(reserve({ amount: credits(100) }))
    .then(
      reserved({
        amount: credits(100),
        lots: [[1, credits(100)]],
        after: { reserved: credits(100), earned: credits(100), dueAt: iso(minute(15)) },
      }),
    );
  given(...HUNDRED)
    .when(reserve({ amount: credits(101) }))
    .then({ code: 'insufficient_credits', required: credits(101), available: credits(100), operation: 'chat' });
});

test('what is held can not be held again', () => {
  given(...HUNDRED, reserved({ amount: credits(80), lots: [[1, credits(80)]] }))
    .when(reserve({ amount: credits(21), operation: null }))
    .then({ code: 'insufficient_credits', required: credits(21), available: credits(20), operation: null });
});

test('what another hold kept can be held once that hold has run out', () => {
  given(...HUNDRED, reserved({ amount: credits(80), lots: [[1, credits(80)]] }))
    .at(minute(15))
    .when(reserve({ amount: credits(21) }))
    .then(
      expired({
        holds: [[2, credits(80)]],
        returned: [[1, credits(80)]],
        after: { available: credits(100), earned: credits(100) },
      }),
      reserved({
        amount: credits(21),
        lots: [[1, credits(21)]],
        expiresAt: iso(minute(30)),
        after: { available: credits(79), reserved: credits(21), earned: credits(100), dueAt: iso(minute(30)) },
      }),
    );
});

test('an account that nobody opened has nothing to hold', () => {
  given()
    .when(reserve({ amount: credits(1) }))
    .then({ code: 'insufficient_credits', required: credits(1), available: ZERO, operation: 'chat' });
});

test('a hold outlasts the lot that it was taken from', () => {
  given(opened(), granted({ amount: credits(10), expiresAt: iso(minute(5)) }))
    .when(reserve({ amount: credits(4) }))
    .then(
      reserved({
        amount: credits(4),
        lots: [[1, credits(4)]],
        after: { available: credits(6), reserved: credits(4), earned: credits(10), dueAt: iso(minute(5)) },
      }),
    );
});
