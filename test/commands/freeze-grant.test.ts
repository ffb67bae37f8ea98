import { test } from 'vitest';
import { ZERO } from '../../src/events/amounts.ts';
import {
  commit,
  consumed,
  credits,
  expired,
  granted,
  iso,
  minute,
  opened,
  refund,
  refunded,
  released,
  reserved,
  use,
} from '../support/account-samples.ts';
import { given } from '../support/given.ts';
import { freeze, frozen, revoked, unfreeze, unfrozen } from '../support/grant-samples.ts';

/** Bought for a hundred credits, of which event 2 holds thirty. */
const OPEN = [opened(), granted({ amount: credits(100), source: 'purchase' })];
const HELD = [...OPEN, reserved({ amount: credits(30), lots: [[1, credits(30)]] })];
const GRANT = { grant: 1, granted: credits(100) };
const EARNED = { earned: credits(100) };

test('freezes what no hold keeps: it is theirs still, and can not be spent', () => {
  const freezing = frozen({
    ...GRANT,
    amount: credits(70),
    after: { ...EARNED, frozen: credits(70), reserved: credits(30), dueAt: iso(minute(15)) },
  });
  given(...HELD)
    .when(freeze(1))
    .then(freezing);
  given(...HELD, freezing)
    .when(use(credits(1)))
    .then({ code: 'insufficient_credits', required: credits(1), available: ZERO, operation: 'chat' });
});

test('what open holds keep stays theirs: a commit of all takes it', () => {
  given(...HELD, frozen({ ...GRANT, amount: credits(70) }))
    .when(commit(2))
    .then(
      consumed({
        amount: credits(30),
        reservation: 2,
        fromHold: [[1, credits(30)]],
        after: { ...EARNED, frozen: credits(70), spent: credits(30) },
      }),
    );
});

test('what a commit leaves, a release gives back and a hold leaves that runs out comes back frozen', () => {
  const freezing = frozen({ ...GRANT, amount: credits(70) });
  given(...HELD, freezing)
    .when(commit(2, credits(12)))
    .then(
      consumed({
        amount: credits(12),
        reservation: 2,
        fromHold: [[1, credits(12)]],
        toFrozen: [[1, credits(18)]],
        after: { ...EARNED, frozen: credits(88), spent: credits(12) },
      }),
    );
  const after = { ...EARNED, frozen: credits(100) };
  given(...HELD, freezing)
    .when({ type: 'ReleaseReservation', reservation: 2, personal: null })
    .then(released({ reservation: 2, amount: credits(30), toFrozen: [[1, credits(30)]], after }));
  given(...HELD, freezing)
    .at(minute(15))
    .when({ type: 'ExpireDue' })
    .then(expired({ holds: [[2, credits(30)]], toFrozen: [[1, credits(30)]], after }), { unchanged: null });
});

test('other grants are spent as ever', () => {
  given(...OPEN, granted({ amount: credits(5), reference: 'r2', priority: 90 }), frozen({ ...GRANT, amount: credits(100) }))
    .when(use(credits(5)))
    .then(
      consumed({
        amount: credits(5),
        fromAvailable: [[2, credits(5)]],
        after: { earned: credits(105), frozen: credits(100), spent: credits(5) },
      }),
    );
});

test('a frozen lot does not run out', () => {
  const ending = granted({ amount: credits(100), expiresAt: iso(minute(5)) });
  const end = { expiresAt: iso(minute(5)) };
  given(opened(), ending)
    .when(freeze(1))
    .then(frozen({ ...GRANT, ...end, amount: credits(100), after: { ...EARNED, frozen: credits(100) } }));
  given(opened(), ending, frozen({ ...GRANT, ...end, amount: credits(100) }))
    .at(minute(6))
    .when({ type: 'ExpireDue' })
    .then({ unchanged: null });
});

test('frozen twice changes nothing, though part of it was revoked in between', () => {
  given(...OPEN, frozen({ ...GRANT, amount: credits(100) }))
    .when({ ...freeze(1), reference: 'dp_2' })
    .then({ unchanged: 2 });
  const part = revoked({ ...GRANT, amount: credits(10), revoked: credits(10), fromFrozen: credits(10) });
  given(...OPEN, frozen({ ...GRANT, amount: credits(100) }), part)
    .when(freeze(1))
    .then({ unchanged: 3 });
});

test('of a grant that is revoked altogether nothing is left to freeze', () => {
  const whole = revoked({ ...GRANT, amount: credits(100), revoked: credits(100), fromAvailable: [[1, credits(100)]] });
  given(...OPEN, whole)
    .when(freeze(1))
    .then({ unchanged: 2 });
});

test('a lot that nothing is left of is opened again, so that what comes back is frozen', () => {
  const terms = { priority: 20, expiresAt: iso(minute(600)) };
  const spent = [
    opened(),
    granted({ amount: credits(100), ...terms }),
    consumed({ amount: credits(100), fromAvailable: [[1, credits(100)]] }),
  ];
  const freezing = frozen({
    ...GRANT,
    amount: ZERO,
    expiresAt: terms.expiresAt,
    reopened: terms,
    after: { ...EARNED, spent: credits(100) },
  });
  given(...spent)
    .when(freeze(1))
    .then(freezing);
  given(...spent, freezing)
    .when(refund(2, credits(40)))
    .then(
      refunded({
        consumption: 2,
        amount: credits(40),
        toFrozen: [[1, credits(40)]],
        after: { ...EARNED, frozen: credits(40), spent: credits(60) },
      }),
    );
});

test('refuses what is no grant, to freeze and to unfreeze', () => {
  for (const no of [0, 2, 9]) {
    given(...HELD)
      .when(freeze(no))
      .then({ code: 'grant_not_found' });
    given(...HELD)
      .when(unfreeze(no))
      .then({ code: 'grant_not_found' });
  }
  given().when(freeze(0)).then({ code: 'grant_not_found' });
  given().when(unfreeze(0)).then({ code: 'grant_not_found' });
});

test('unfreezes all that is frozen, with what came back meanwhile', () => {
  const back = released({ reservation: 2, amount: credits(30), toFrozen: [[1, credits(30)]] });
  given(...HELD, frozen({ ...GRANT, amount: credits(70) }), back)
    .when(unfreeze(1))
    .then(unfrozen({ ...GRANT, amount: credits(100), after: { ...EARNED, available: credits(100) } }));
});

test('what isn’t frozen stays as it is: never frozen, unfrozen before, revoked altogether', () => {
  given(...OPEN)
    .when(unfreeze(1))
    .then({ unchanged: null });
  given(...OPEN, frozen({ ...GRANT, amount: credits(100) }), unfrozen({ ...GRANT, amount: credits(100) }))
    .when(unfreeze(1))
    .then({ unchanged: 3 });
  const whole = revoked({ ...GRANT, amount: credits(100), revoked: credits(100), fromFrozen: credits(100) });
  given(...OPEN, frozen({ ...GRANT, amount: credits(100) }), whole)
    .when(unfreeze(1))
    .then({ unchanged: 3 });
});

const DAY = 24 * 60;
const ENDING = { expiresAt: iso(minute(60)) };
const BOUGHT = granted({ amount: credits(100), ...ENDING });

test('an end that passed meanwhile makes way for one in thirty days; one that is to come stays', () => {
  const held = [opened(), BOUGHT, frozen({ ...GRANT, ...ENDING, amount: credits(100) })];
  const left = { ...EARNED, available: credits(100) };
  given(...held)
    .at(minute(59))
    .when(unfreeze(1))
    .then(unfrozen({ ...GRANT, ...ENDING, amount: credits(100), after: { ...left, dueAt: ENDING.expiresAt } }));
  const later = iso(minute(60 + 30 * DAY));
  given(...held)
    .at(minute(60))
    .when(unfreeze(1))
    .then(unfrozen({ ...GRANT, expiresAt: later, amount: credits(100), after: { ...left, dueAt: later } }));
});

test('a new end holds for whatever is asked of the grant later', () => {
  const later = { expiresAt: iso(minute(60 + 30 * DAY)) };
  const spent = [
    opened(),
    BOUGHT,
    frozen({ ...GRANT, ...ENDING, amount: credits(100) }),
    unfrozen({ ...GRANT, ...later, amount: credits(100) }),
    consumed({ amount: credits(100), fromAvailable: [[1, credits(100)]] }),
  ];
  given(...spent)
    .at(minute(90))
    .when(freeze(1))
    .then(
      frozen({
        ...GRANT,
        ...later,
        amount: ZERO,
        reopened: { priority: 50, ...later },
        after: { ...EARNED, spent: credits(100) },
      }),
    );
});

test('a lot thawed with nothing left of it is let go', () => {
  const emptied = [...OPEN, consumed({ amount: credits(100), fromAvailable: [[1, credits(100)]] })];
  const freezing = frozen({ ...GRANT, amount: ZERO, reopened: { priority: 50, expiresAt: null } });
  given(...emptied, freezing)
    .when(unfreeze(1))
    .then(unfrozen({ ...GRANT, amount: ZERO, after: { ...EARNED, spent: credits(100) } }));
});
