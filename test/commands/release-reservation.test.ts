import { test } from 'vitest';
import type { ReleaseReservation } from '../../src/commands/release-reservation.ts';
import { accountStream } from '../../src/events/account-events.ts';
import { ZERO } from '../../src/events/amounts.ts';
import { consumed, credits, expired, granted, iso, minute, opened, released, reserved } from '../support/account-samples.ts';
import { given } from '../support/given.ts';

const HELD = [opened(), granted({ amount: credits(100) }), reserved({ amount: credits(30), lots: [[1, credits(30)]] })];
const WHOLE = { available: credits(100), earned: credits(100) };
const RAN_OUT = expired({ holds: [[2, credits(30)]], returned: [[1, credits(30)]], after: WHOLE });

const release = (reservation: number): ReleaseReservation => ({ type: 'ReleaseReservation', reservation, personal: null });

test('gives back all that was held', () => {
  given(...HELD)
    .when({ ...release(2), personal: '1.k.c' })
    .then(released({ reservation: 2, amount: credits(30), returned: [[1, credits(30)]], personal: '1.k.c', after: WHOLE }));
});

test('again repeats the first answer', () => {
  given(...HELD, released({ reservation: 2, amount: credits(30), returned: [[1, credits(30)]] }))
    .when(release(2))
    .then({ repeats: 3 });
});

test('after a commit there is nothing to give back', () => {
  given(...HELD, consumed({ amount: credits(12), reservation: 2, fromHold: [[1, credits(12)]], returned: [[1, credits(18)]] }))
    .when(release(2))
    .then({
      code: 'reservation_already_resolved',
      resolution: { status: 'consumed', transaction: { stream: accountStream('u1'), revision: 3 }, amount: credits(12) },
    });
});

test('after the hold ran out it is settled with nothing to give back', () => {
  const settled = released({ reservation: 2, amount: ZERO, after: WHOLE });
  given(...HELD)
    .at(minute(15))
    .when(release(2))
    .then(RAN_OUT, settled);
  given(...HELD, RAN_OUT)
    .at(minute(16))
    .when(release(2))
    .then(settled);
  given(...HELD, RAN_OUT, settled)
    .at(minute(16))
    .when(release(2))
    .then({ repeats: 4 });
});

test('refuses another app, and what is no hold', () => {
  given(...HELD)
    .by('another')
    .when(release(2))
    .then({ code: 'reservation_of_another_app' });
  given(...HELD)
    .when(release(0))
    .then({ code: 'reservation_not_found' });
  given(...HELD)
    .when(release(9))
    .then({ code: 'reservation_not_found' });
  given().when(release(2)).then({ code: 'reservation_not_found' });
});

test('what came from a lot past its end lapses, the rest is back in its lot', () => {
  const lots = [
    granted({ amount: credits(10), priority: 1, expiresAt: iso(minute(5)) }),
    granted({ amount: credits(100), reference: 'r2' }),
  ];
  given(
    opened(),
    ...lots,
    reserved({
      amount: credits(30),
      lots: [
        [1, credits(10)],
        [2, credits(20)],
      ],
    }),
  )
    .at(minute(6))
    .when(release(3))
    .then(
      released({
        reservation: 3,
        amount: credits(30),
        returned: [[2, credits(20)]],
        lapsed: [[1, credits(10)]],
        after: { available: credits(100), earned: credits(110) },
      }),
    );
});
