import { test } from 'vitest';
import {
  commit,
  consumed,
  credits,
  expired,
  grant,
  granted,
  iso,
  minute,
  refund,
  refunded,
  released,
  reserved,
} from '../support/account-samples.ts';
import { given } from '../support/given.ts';
import { owing } from '../support/grant-samples.ts';

/*
 * Every inflow pays what is owed first, in its own event: `debtPaid` says of which lots. given() holds the legs of every
 * event against the balances after it.
 */

test('a grant pays first; what is left can be spent', () => {
  given(...owing())
    .when(grant({ amount: credits(25), reference: 'r2' }))
    .then(
      granted({
        amount: credits(25),
        reference: 'r2',
        debtPaid: [[4, credits(10)]],
        after: { available: credits(15), earned: credits(125), spent: credits(10) },
      }),
    );
});

test('a grant that is just enough, or too small, leaves nothing to spend and no lot', () => {
  given(...owing())
    .when(grant({ amount: credits(10), reference: 'r2' }))
    .then(
      granted({
        amount: credits(10),
        reference: 'r2',
        debtPaid: [[4, credits(10)]],
        after: { earned: credits(110), spent: credits(10) },
      }),
    );
  const small = granted({
    amount: credits(4),
    reference: 'r2',
    debtPaid: [[4, credits(4)]],
    after: { earned: credits(104), spent: credits(10), debt: credits(6) },
  });
  given(...owing())
    .when(grant({ amount: credits(4), reference: 'r2' }))
    .then(small);
  given(...owing(), small)
    .when(grant({ amount: credits(7), reference: 'r3' }))
    .then(
      granted({
        amount: credits(7),
        reference: 'r3',
        debtPaid: [[5, credits(6)]],
        after: { available: credits(1), earned: credits(111), spent: credits(10) },
      }),
    );
});

test('a signup grant pays first', () => {
  given(...owing())
    .when({ type: 'OpenAccount', signupGrant: credits(15) })
    .then({
      ...granted({
        amount: credits(15),
        source: 'signup',
        reason: 'signup',
        reference: 'signup',
        debtPaid: [[4, credits(10)]],
        after: { available: credits(5), earned: credits(115), spent: credits(10) },
      }),
    });
});

/** Twenty more, held at revision 4 of the lot at revision 3. */
const HELD = [granted({ amount: credits(20), reference: 'r2' }), reserved({ amount: credits(20), lots: [[3, credits(20)]] })];
const AFTER = { earned: credits(120), spent: credits(10) };

test('what a release gives back pays first', () => {
  given(...owing(...HELD))
    .when({ type: 'ReleaseReservation', reservation: 4, personal: null })
    .then(
      released({
        reservation: 4,
        amount: credits(20),
        returned: [[3, credits(20)]],
        debtPaid: [[3, credits(10)]],
        after: { ...AFTER, available: credits(10) },
      }),
    );
});

test('what a commit leaves pays first', () => {
  given(...owing(...HELD))
    .when(commit(4, credits(13)))
    .then(
      consumed({
        amount: credits(13),
        reservation: 4,
        fromHold: [[3, credits(13)]],
        returned: [[3, credits(7)]],
        debtPaid: [[3, credits(7)]],
        after: { earned: credits(120), spent: credits(23), debt: credits(3) },
      }),
    );
});

test('what a hold that ran out gives back pays first', () => {
  given(...owing(...HELD))
    .at(minute(15))
    .when({ type: 'ExpireDue' })
    .then(
      expired({
        holds: [[4, credits(20)]],
        returned: [[3, credits(20)]],
        debtPaid: [[3, credits(10)]],
        after: { ...AFTER, available: credits(10) },
      }),
      { unchanged: null },
    );
});

test('what runs out pays nothing', () => {
  const ending = [
    granted({ amount: credits(20), reference: 'r2', expiresAt: iso(minute(15)) }),
    reserved({ amount: credits(20), lots: [[3, credits(20)]] }),
  ];
  const after = { ...AFTER, debt: credits(10) };
  given(...owing(...ending))
    .at(minute(15))
    .when({ type: 'ExpireDue' })
    .then(expired({ holds: [[4, credits(20)]], returned: [[3, credits(20)]], lots: [[3, credits(20)]], after }), {
      unchanged: null,
    });
  given(...owing(...ending.slice(0, 1), reserved({ amount: credits(20), lots: [[3, credits(20)]], expiresAt: iso(minute(30)) })))
    .at(minute(16))
    .when({ type: 'ReleaseReservation', reservation: 4, personal: null })
    .then(released({ reservation: 4, amount: credits(20), lapsed: [[3, credits(20)]], after }));
});

test('what a hold gave back before its lot ran out has paid, however late both are written down', () => {
  const hold = (minutes: number, lot: number) =>
    reserved({ amount: credits(6), lots: [[lot, credits(6)]], expiresAt: iso(minute(minutes)) });
  const history = owing(
    granted({ amount: credits(6), reference: 'r2', expiresAt: iso(minute(20)) }),
    granted({ amount: credits(6), reference: 'r3', expiresAt: iso(minute(30)) }),
    granted({ amount: credits(6), reference: 'r4', expiresAt: iso(minute(40)) }),
    hold(35, 4),
    hold(25, 5),
    hold(15, 3),
  );
  const earned = { earned: credits(118), spent: credits(10) };
  given(...history)
    .at(minute(60))
    .when({ type: 'ExpireDue' })
    .then(
      expired({
        debtPaid: [
          [3, credits(6)],
          [5, credits(4)],
        ],
        holds: [
          [8, credits(6)],
          [7, credits(6)],
          [6, credits(6)],
        ],
        returned: [
          [3, credits(6)],
          [5, credits(6)],
          [4, credits(6)],
        ],
        // Half an hour is over when the hold of the fourth ends, and two of the fifth were not owed any more.
        lots: [
          [4, credits(6)],
          [5, credits(2)],
        ],
        after: earned,
      }),
      { unchanged: null },
    );
});

test('of what several holds give back at one moment the lot pays that is spent first', () => {
  const hold = (lot: number) => reserved({ amount: credits(6), lots: [[lot, credits(6)]], expiresAt: iso(minute(15)) });
  const history = owing(
    granted({ amount: credits(6), reference: 'r2' }),
    granted({ amount: credits(6), reference: 'r3' }),
    hold(4),
    hold(3),
  );
  given(...history)
    .at(minute(15))
    .when({ type: 'ExpireDue' })
    .then(
      expired({
        debtPaid: [
          [3, credits(6)],
          [4, credits(4)],
        ],
        holds: [
          [5, credits(6)],
          [6, credits(6)],
        ],
        returned: [
          [4, credits(6)],
          [3, credits(6)],
        ],
        after: { available: credits(2), earned: credits(112), spent: credits(10) },
      }),
      { unchanged: null },
    );
});

test('what a refund brings back pays first: to its lots, opened again', () => {
  const used = [
    granted({ amount: credits(20), reference: 'r2' }),
    consumed({ amount: credits(20), fromAvailable: [[3, credits(20)]] }),
  ];
  given(...owing(...used))
    .when(refund(4, credits(12)))
    .then(
      refunded({
        consumption: 4,
        amount: credits(12),
        restored: [[3, credits(12)]],
        reopened: [{ revision: 3, priority: 50, expiresAt: null, frozen: false }],
        debtPaid: [[3, credits(10)]],
        after: { available: credits(2), earned: credits(120), spent: credits(18) },
      }),
    );
});

test('what a refund brings back pays first: into a fresh lot, for what was taken of a revoked one', () => {
  const expiresAt = iso(minute(30 * 24 * 60));
  given(...owing())
    .when(refund(2, credits(10)))
    .then(
      refunded({
        consumption: 2,
        amount: credits(10),
        fresh: { amount: credits(10), priority: 50, expiresAt },
        debtPaid: [[4, credits(10)]],
        after: { earned: credits(100) },
      }),
    );
});
