import { test } from 'vitest';
import { MAX_TOTAL, micro } from '../../src/events/amounts.ts';
import { consumed, credits, expired, grant, granted, iso, minute, opened, reserved, START } from '../support/account-samples.ts';
import { given } from '../support/given.ts';

test('the first grant opens the account', () => {
  given()
    .when(grant({ amount: credits(100) }))
    .then(opened({}), granted({ amount: credits(100), after: { available: credits(100), earned: credits(100) } }));
});

test('adds to what is there and leaves what is held', () => {
  given(opened(), granted({ amount: credits(100) }), reserved({ amount: credits(30), lots: [[1, credits(30)]] }))
    .when(grant({ amount: credits(7), reference: 'r2', priority: 3, expiresAt: minute(60), appId: 'shop', personal: '1.k.c' }))
    .then(
      granted({
        amount: credits(7),
        reference: 'r2',
        priority: 3,
        expiresAt: iso(minute(60)),
        appId: 'shop',
        personal: '1.k.c',
        after: { available: credits(77), reserved: credits(30), earned: credits(107), dueAt: iso(minute(15)) },
      }),
    );
});

test('gives a reason and reference once, whichever app asks and whatever else it says', () => {
  given(opened(), granted({ amount: credits(100), reference: 'order-1' }))
    .by('another')
    .when(grant({ amount: credits(55), reference: 'order-1' }))
    .then({ unchanged: 1 });
});

test('the same reference under another reason is another grant', () => {
  given(opened(), granted({ amount: credits(1), reason: 'a', reference: 'r' }))
    .when(grant({ amount: credits(1), reason: 'b', reference: 'r' }))
    .then(granted({ amount: credits(1), reason: 'b', reference: 'r', after: { available: credits(2), earned: credits(2) } }));
});

test('refuses an end that is not in the future', () => {
  const refusal = { code: 'invalid', path: 'expiresAt', message: 'must lie in the future' } as const;
  given()
    .when(grant({ amount: credits(1), expiresAt: START }))
    .then(refusal);
  given(opened())
    .at(minute(1))
    .when(grant({ amount: credits(1), expiresAt: START }))
    .then(refusal);
});

test('a grant that was given and has run out is answered as given, though its end lies in the past now', () => {
  given(opened(), granted({ amount: credits(1), expiresAt: iso(minute(1)) }))
    .at(minute(2))
    .when(grant({ amount: credits(1), expiresAt: minute(1) }))
    .then(expired({ lots: [[1, credits(1)]], after: { earned: credits(1) } }), { unchanged: 1 });
});

test('refuses what would lift all that was ever earned above the bound, to the micro-credit', () => {
  const one = micro(1);
  const full = [opened(), granted({ amount: MAX_TOTAL }), consumed({ amount: MAX_TOTAL, fromAvailable: [[1, MAX_TOTAL]] })];
  given(...full)
    .when(grant({ amount: one, reference: 'r2' }))
    .then({ code: 'limit_exceeded', limit: 'totalEarned', maximum: MAX_TOTAL });

  const below = micro(MAX_TOTAL - 1);
  given(opened(), granted({ amount: below }))
    .when(grant({ amount: one, reference: 'r2' }))
    .then(granted({ amount: one, reference: 'r2', after: { available: MAX_TOTAL, earned: MAX_TOTAL } }));
});

test('refuses what would lift the balance above the bound', () => {
  // As after refunds, which add to the balance and not to what was earned.
  given(opened(), granted({ amount: MAX_TOTAL, after: { available: MAX_TOTAL, earned: credits(1) } }))
    .when(grant({ amount: micro(1), reference: 'r2' }))
    .then({ code: 'limit_exceeded', limit: 'balance', maximum: MAX_TOTAL });
});
