import { test } from 'vitest';
import { micro, ZERO } from '../../src/events/amounts.ts';
import { credits, granted, iso, minute, released, reserve, reserved, use } from '../support/account-samples.ts';
import { given } from '../support/given.ts';
import { BOUGHT_AND_USED, debit, freeze, frozen, owing, revoke, revoked, unfreeze, unfrozen } from '../support/grant-samples.ts';

/* What is owed, and grants that are frozen or revoked. */

/** Twenty more, held at revision 4 of the lot at revision 3. */
const HELD = [granted({ amount: credits(20), reference: 'r2' }), reserved({ amount: credits(20), lots: [[3, credits(20)]] })];
const AFTER = { earned: credits(120), spent: credits(10) };

test('what is frozen pays when it is unfrozen, and not before', () => {
  const kept = [
    granted({ amount: credits(20), reference: 'r2' }),
    frozen({ grant: 3, granted: credits(20), amount: credits(20) }),
  ];
  given(...owing(...kept))
    .when(unfreeze(3))
    .then(
      unfrozen({
        grant: 3,
        granted: credits(20),
        amount: credits(20),
        debtPaid: [[3, credits(10)]],
        after: { ...AFTER, available: credits(10) },
      }),
    );
  const back = [granted({ amount: credits(20), reference: 'r2' }), reserved({ amount: credits(20), lots: [[3, credits(20)]] })];
  given(...owing(...back, frozen({ grant: 3, granted: credits(20), amount: ZERO })))
    .when({ type: 'ReleaseReservation', reservation: 4, personal: null })
    .then(
      released({
        reservation: 4,
        amount: credits(20),
        toFrozen: [[3, credits(20)]],
        after: { ...AFTER, frozen: credits(20), debt: credits(10) },
      }),
    );
});

test('what is left of a frozen grant that is revoked altogether pays first', () => {
  const kept = [
    granted({ amount: credits(20), reference: 'r2' }),
    reserved({ amount: credits(15), lots: [[3, credits(15)]], expiresAt: iso(minute(60)) }),
    revoked({
      grant: 3,
      granted: credits(20),
      amount: credits(18),
      revoked: credits(18),
      fromAvailable: [
        [3, credits(5)],
        [1, credits(13)],
      ],
    }),
    frozen({ grant: 3, granted: credits(20), revoked: credits(18), amount: ZERO }),
    released({ reservation: 4, amount: credits(15), toFrozen: [[3, credits(15)]] }),
  ];
  const taking = revoked({
    grant: 1,
    granted: credits(100),
    amount: credits(100),
    revoked: credits(100),
    fromAvailable: [[1, credits(77)]],
    debt: credits(23),
  });
  given(...BOUGHT_AND_USED, ...kept, taking)
    .when(revoke(3))
    .then(
      revoked({
        grant: 3,
        granted: credits(20),
        source: 'promo',
        amount: credits(2),
        revoked: credits(20),
        fromFrozen: credits(2),
        unfrozen: credits(13),
        debtPaid: [[3, credits(13)]],
        after: { ...AFTER, debt: credits(10) },
      }),
    );
});

test('who owes can spend nothing, and owes more where more is taken back', () => {
  const short = { code: 'insufficient_credits', required: micro(1), available: ZERO } as const;
  given(...owing())
    .when(use(micro(1)))
    .then({ ...short, operation: 'chat' });
  given(...owing())
    .when(reserve({ amount: micro(1) }))
    .then({ ...short, operation: 'chat' });
  given(...owing())
    .when(debit(micro(1)))
    .then({ ...short, operation: null });
  given(...owing(...HELD))
    .when(revoke(3))
    .then(
      revoked({
        grant: 3,
        granted: credits(20),
        source: 'promo',
        amount: credits(20),
        revoked: credits(20),
        debt: credits(20),
        after: { ...AFTER, reserved: credits(20), debt: credits(30), dueAt: iso(minute(15)) },
      }),
    );
});

test('who owes has nothing that could be frozen', () => {
  given(...owing(...HELD))
    .when(freeze(3))
    .then(
      frozen({
        grant: 3,
        granted: credits(20),
        amount: ZERO,
        after: { ...AFTER, reserved: credits(20), debt: credits(10), dueAt: iso(minute(15)) },
      }),
    );
});
