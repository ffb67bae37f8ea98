import { test } from 'vitest';
import { ZERO } from '../../src/events/amounts.ts';
import { commit, consumed, credits, grant, granted, opened, released, reserved } from '../support/account-samples.ts';
import { given } from '../support/given.ts';
import { freeze, frozen, revoke, revoked, unfreeze, unfrozen } from '../support/grant-samples.ts';

/* Bugs of other ledgers, published, that this one must not have. */

/** Bought for a hundred credits; twenty more were given. */
const BOUGHT = [
  opened(),
  granted({ amount: credits(100), source: 'purchase', priority: 50 }),
  granted({ amount: credits(20), reference: 'r2', priority: 10 }),
];
const EARNED = { earned: credits(120) };
const GRANT = { grant: 1, granted: credits(100) };
const WHOLE = { ...GRANT, amount: credits(100), revoked: credits(100) };

test('chargeback restoring the wrong amount: a won dispute gives back what was frozen, no more and no less', () => {
  const disputed = [
    ...BOUGHT,
    consumed({ amount: credits(40), fromAvailable: [[1, credits(40)]] }),
    revoked({ ...GRANT, amount: credits(25), revoked: credits(25), fromAvailable: [[1, credits(25)]] }),
  ];
  const freezing = frozen({
    ...GRANT,
    amount: credits(35),
    revoked: credits(25),
    after: { ...EARNED, available: credits(20), frozen: credits(35), spent: credits(40) },
  });
  given(...disputed)
    .when(freeze(1))
    .then(freezing);
  given(...disputed, freezing)
    .when(unfreeze(1))
    .then(
      unfrozen({
        ...GRANT,
        amount: credits(35),
        revoked: credits(25),
        after: { ...EARNED, available: credits(55), spent: credits(40) },
      }),
    );
});

test('chargeback restoring the wrong amount: a lost dispute takes what the payment bought less what went back before', () => {
  const disputed = [
    ...BOUGHT,
    consumed({ amount: credits(40), fromAvailable: [[1, credits(40)]] }),
    revoked({ ...GRANT, amount: credits(25), revoked: credits(25), fromAvailable: [[1, credits(25)]] }),
    frozen({ ...GRANT, amount: credits(35), revoked: credits(25) }),
  ];
  given(...disputed)
    .when(revoke(1))
    .then(
      revoked({
        ...GRANT,
        amount: credits(75),
        revoked: credits(100),
        fromFrozen: credits(35),
        fromAvailable: [[2, credits(20)]],
        debt: credits(20),
        after: { ...EARNED, debt: credits(20), spent: credits(40) },
      }),
    );
});

test('late payment after a void: a commit after the release takes nothing, frozen and revoked in between or not', () => {
  const voided = [
    ...BOUGHT,
    reserved({ amount: credits(30), lots: [[1, credits(30)]] }),
    released({ reservation: 3, amount: credits(30), returned: [[1, credits(30)]] }),
  ];
  const refusal = {
    code: 'reservation_already_resolved',
    resolution: { status: 'released', transaction: { stream: 'account-u1', revision: 4 }, amount: ZERO },
  } as const;
  given(...voided)
    .when(commit(3))
    .then(refusal);
  given(...voided, frozen({ ...GRANT, amount: credits(100) }))
    .when(commit(3, credits(1)))
    .then(refusal);
  given(...voided, revoked({ ...WHOLE, fromAvailable: [[1, credits(100)]] }))
    .when(commit(3))
    .then(refusal);
});

test('late payment after a void: a purchase that was taken back is not given again when its payment is told once more', () => {
  given(...BOUGHT, revoked({ ...WHOLE, fromAvailable: [[1, credits(100)]] }))
    .when(grant({ amount: credits(100), source: 'purchase', reason: 'welcome', reference: 'r1' }))
    .then({ unchanged: 1 });
});
