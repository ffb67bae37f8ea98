import { test } from 'vitest';
import type { Rejection } from '../../src/commands/rejection.ts';
import { accountStream } from '../../src/events/account-events.ts';
import { MAX_TOTAL, micro, ZERO } from '../../src/events/amounts.ts';
import {
  commit,
  consumed,
  credits,
  expired,
  granted,
  iso,
  minute,
  opened,
  released,
  reserved,
} from '../support/account-samples.ts';
import { given } from '../support/given.ts';

/** A hundred credits, of which event 2 holds thirty. */
const HELD = [opened(), granted({ amount: credits(100) }), reserved({ amount: credits(30), lots: [[1, credits(30)]] })];
const EARNED = { earned: credits(100) };

function resolved(status: 'consumed' | 'released', revision: number, amount = ZERO): Rejection {
  return {
    code: 'reservation_already_resolved',
    resolution: { status, transaction: { stream: accountStream('u1'), revision }, amount },
  };
}

test('takes all that was held where no amount is named, or just that', () => {
  const whole = consumed({
    amount: credits(30),
    reservation: 2,
    fromHold: [[1, credits(30)]],
    after: { ...EARNED, available: credits(70), spent: credits(30) },
  });
  given(...HELD)
    .when(commit(2))
    .then(whole);
  given(...HELD)
    .when(commit(2, credits(30)))
    .then(whole);
});

test('takes less, and the rest is back in its lot at once', () => {
  given(...HELD)
    .when(commit(2, credits(12)))
    .then(
      consumed({
        amount: credits(12),
        reservation: 2,
        fromHold: [[1, credits(12)]],
        returned: [[1, credits(18)]],
        after: { ...EARNED, available: credits(88), spent: credits(12) },
      }),
    );
});

test('takes nothing where the work cost nothing', () => {
  given(...HELD)
    .when(commit(2, ZERO))
    .then(
      consumed({ amount: ZERO, reservation: 2, returned: [[1, credits(30)]], after: { ...EARNED, available: credits(100) } }),
    );
});

test('takes more from what is available, to the last micro-credit', () => {
  given(...HELD)
    .when(commit(2, credits(100)))
    .then(
      consumed({
        amount: credits(100),
        reservation: 2,
        fromHold: [[1, credits(30)]],
        fromAvailable: [[1, credits(70)]],
        after: { ...EARNED, spent: credits(100) },
      }),
    );
});

test('refuses more than there is, and the hold stands', () => {
  const tooMuch = micro(credits(100) + 1);
  given(...HELD)
    .when(commit(2, tooMuch))
    .then({ code: 'insufficient_credits', required: tooMuch, available: credits(100), operation: 'chat' });
  // Nothing was written, so the same hold is settled by the next commit.
  given(...HELD)
    .when(commit(2, credits(1)))
    .then(
      consumed({
        amount: credits(1),
        reservation: 2,
        fromHold: [[1, credits(1)]],
        returned: [[1, credits(29)]],
        after: { ...EARNED, available: credits(99), spent: credits(1) },
      }),
    );
});

test('carries what the hold was made for, and the words of its own', () => {
  given(
    opened(),
    granted({ amount: credits(1) }),
    reserved({ amount: credits(1), lots: [[1, credits(1)]], operation: 'image', appId: 'studio' }),
  )
    .when({ ...commit(2), personal: '1.k.c' })
    .then(
      consumed({
        amount: credits(1),
        reservation: 2,
        fromHold: [[1, credits(1)]],
        operation: 'image',
        appId: 'studio',
        personal: '1.k.c',
        after: { earned: credits(1), spent: credits(1) },
      }),
    );
});

const RAN_OUT = expired({
  holds: [[2, credits(30)]],
  returned: [[1, credits(30)]],
  after: { ...EARNED, available: credits(100) },
});

test('after the hold ran out it takes from what is available', () => {
  const late = consumed({
    amount: credits(30),
    reservation: 2,
    fromAvailable: [[1, credits(30)]],
    after: { ...EARNED, available: credits(70), spent: credits(30) },
  });
  given(...HELD)
    .at(minute(15))
    .when(commit(2))
    .then(RAN_OUT, late);
  given(...HELD, RAN_OUT)
    .at(minute(16))
    .when(commit(2))
    .then(late);
});

test('one millisecond before its time the hold still stands', () => {
  given(...HELD)
    .at(minute(15) - 1)
    .when(commit(2, null, 'refuse'))
    .then(
      consumed({
        amount: credits(30),
        reservation: 2,
        fromHold: [[1, credits(30)]],
        after: { ...EARNED, available: credits(70), spent: credits(30) },
      }),
    );
});

test('after the hold ran out it is refused where the caller asked for that, or where nothing is left', () => {
  given(...HELD)
    .at(minute(15))
    .when(commit(2, null, 'refuse'))
    .then(RAN_OUT, { code: 'reservation_expired' });
  given(...HELD, RAN_OUT, consumed({ amount: credits(90), fromAvailable: [[1, credits(90)]] }))
    .at(minute(16))
    .when(commit(2))
    .then({ code: 'insufficient_credits', required: credits(30), available: credits(10), operation: 'chat' });
});

test('refuses another app, before and after the hold is settled, and what is no hold', () => {
  const settled = consumed({ amount: credits(30), reservation: 2, fromHold: [[1, credits(30)]] });
  given(...HELD)
    .by('another')
    .when(commit(2))
    .then({ code: 'reservation_of_another_app' });
  given(...HELD, RAN_OUT)
    .by('another')
    .at(minute(16))
    .when(commit(2))
    .then({ code: 'reservation_of_another_app' });
  given(...HELD, settled)
    .by('another')
    .when(commit(2))
    .then({ code: 'reservation_of_another_app' });
  given(...HELD)
    .when(commit(1))
    .then({ code: 'reservation_not_found' });
  given(...HELD)
    .when(commit(3))
    .then({ code: 'reservation_not_found' });
  given().when(commit(0)).then({ code: 'reservation_not_found' });
});

test('the same amount again repeats the first answer, named or not', () => {
  const settled = [...HELD, consumed({ amount: credits(30), reservation: 2, fromHold: [[1, credits(30)]] })];
  given(...settled)
    .when(commit(2, credits(30)))
    .then({ repeats: 3 });
  given(...settled)
    .when(commit(2))
    .then({ repeats: 3 });
  // Asking to be refused when late says nothing against a commit that came in time.
  given(...settled)
    .at(minute(20))
    .when(commit(2, null, 'refuse'))
    .then({ repeats: 3 });
});

test('nothing again repeats a commit of nothing', () => {
  given(...HELD, consumed({ amount: ZERO, reservation: 2, returned: [[1, credits(30)]] }))
    .when(commit(2, ZERO))
    .then({ repeats: 3 });
});

test('another amount is told how the hold was settled', () => {
  const settled = [
    ...HELD,
    consumed({ amount: credits(12), reservation: 2, fromHold: [[1, credits(12)]], returned: [[1, credits(18)]] }),
  ];
  given(...settled)
    .when(commit(2, credits(13)))
    .then(resolved('consumed', 3, credits(12)));
  given(...settled)
    .when(commit(2))
    .then(resolved('consumed', 3, credits(12)));
});

test('a commit after a late commit repeats it', () => {
  const late = consumed({ amount: credits(30), reservation: 2, fromAvailable: [[1, credits(30)]] });
  given(...HELD, RAN_OUT, late)
    .at(minute(17))
    .when(commit(2))
    .then({ repeats: 4 });
});

test('after a release there is nothing to take', () => {
  const back = released({ reservation: 2, amount: credits(30), returned: [[1, credits(30)]] });
  given(...HELD, back)
    .when(commit(2))
    .then(resolved('released', 3));
  given(...HELD, RAN_OUT, released({ reservation: 2, amount: ZERO }))
    .at(minute(17))
    .when(commit(2))
    .then(resolved('released', 4));
});

test('what is left over of a lot past its end lapses', () => {
  const ending = granted({ amount: credits(30), expiresAt: iso(minute(5)) });
  given(opened(), ending, reserved({ amount: credits(30), lots: [[1, credits(30)]] }))
    .at(minute(6))
    .when(commit(2, credits(10)))
    .then(
      consumed({
        amount: credits(10),
        reservation: 2,
        fromHold: [[1, credits(10)]],
        lapsed: [[1, credits(20)]],
        after: { earned: credits(30), spent: credits(10) },
      }),
    );
});

test('refuses what would lift all that was ever spent above the bound, and the hold stands', () => {
  const lot = granted({ amount: credits(5), after: { available: credits(5), earned: credits(5), spent: micro(MAX_TOTAL - 1) } });
  given(opened(), lot, reserved({ amount: credits(2), lots: [[1, credits(2)]] }))
    .when(commit(2))
    .then({ code: 'limit_exceeded', limit: 'totalSpent', maximum: MAX_TOTAL });
});
