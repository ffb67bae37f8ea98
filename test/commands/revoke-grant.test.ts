import { test } from 'vitest';
import { micro, ZERO } from '../../src/events/amounts.ts';
import { commit, consumed, credits, granted, iso, minute, opened, released, reserved } from '../support/account-samples.ts';
import { given } from '../support/given.ts';
import { frozen, revoke, revoked } from '../support/grant-samples.ts';

/** Bought for a hundred credits; twenty more were given. */
const BOUGHT = [
  opened(),
  granted({ amount: credits(100), source: 'purchase', priority: 50 }),
  granted({ amount: credits(20), reference: 'r2', priority: 10 }),
];
const EARNED = { earned: credits(120) };
const GRANT = { grant: 1, granted: credits(100) };
const WHOLE = { ...GRANT, amount: credits(100), revoked: credits(100) };

test('takes back what is left of that lot, and leaves the others', () => {
  given(...BOUGHT)
    .when(revoke(1))
    .then(revoked({ ...WHOLE, fromAvailable: [[1, credits(100)]], after: { ...EARNED, available: credits(20) } }));
});

test('then what can be spent, the lot itself first; and what then is left is owed', () => {
  const spent = (amount: number) => consumed({ amount: credits(amount), fromAvailable: [[1, credits(amount)]], by: 'writer' });
  given(...BOUGHT, spent(15))
    .when(revoke(1))
    .then(
      revoked({
        ...WHOLE,
        fromAvailable: [
          [1, credits(85)],
          [2, credits(15)],
        ],
        after: { ...EARNED, available: credits(5), spent: credits(15) },
      }),
    );
  given(...BOUGHT, spent(90))
    .when(revoke(1))
    .then(
      revoked({
        ...WHOLE,
        fromAvailable: [
          [1, credits(10)],
          [2, credits(20)],
        ],
        debt: credits(70),
        after: { ...EARNED, debt: credits(70), spent: credits(90) },
      }),
    );
});

test('other lots are taken in spending order, a frozen one never', () => {
  const more = [
    granted({ amount: credits(5), reference: 'r3', priority: 90 }),
    granted({ amount: credits(5), reference: 'r4', priority: 5 }),
    frozen({ grant: 2, granted: credits(20), amount: credits(20) }),
    consumed({ amount: credits(100), fromAvailable: [[1, credits(100)]] }),
  ];
  given(...BOUGHT, ...more)
    .when(revoke(1, credits(12)))
    .then(
      revoked({
        ...GRANT,
        amount: credits(12),
        revoked: credits(12),
        fromAvailable: [
          [4, credits(5)],
          [3, credits(5)],
        ],
        debt: credits(2),
        after: { earned: credits(130), spent: credits(100), frozen: credits(20), debt: credits(2) },
      }),
    );
});

test('what open holds keep of it stays theirs', () => {
  const held = reserved({ amount: credits(100), lots: [[1, credits(100)]] });
  const taking = revoked({
    ...WHOLE,
    fromAvailable: [[2, credits(20)]],
    debt: credits(80),
    after: { ...EARNED, reserved: credits(100), debt: credits(80), dueAt: iso(minute(15)) },
  });
  given(...BOUGHT, held)
    .when(revoke(1))
    .then(taking);
  given(...BOUGHT, held, taking)
    .when(commit(3))
    .then(
      consumed({
        amount: credits(100),
        reservation: 3,
        fromHold: [[1, credits(100)]],
        after: { ...EARNED, debt: credits(80), spent: credits(100) },
      }),
    );
});

test('a frozen lot gives what is frozen of it; whole, it is no longer frozen', () => {
  const held = [
    ...BOUGHT,
    reserved({ amount: credits(30), lots: [[1, credits(30)]] }),
    frozen({ ...GRANT, amount: credits(70) }),
  ];
  const taking = revoked({
    ...WHOLE,
    fromFrozen: credits(70),
    fromAvailable: [[2, credits(20)]],
    debt: credits(10),
    after: { ...EARNED, reserved: credits(30), debt: credits(10), dueAt: iso(minute(15)) },
  });
  given(...held)
    .when(revoke(1))
    .then(taking);
  // What the hold gives back is to spend again: what it kept was taken elsewhere.
  given(...held, taking)
    .when(commit(3, credits(12)))
    .then(
      consumed({
        amount: credits(12),
        reservation: 3,
        fromHold: [[1, credits(12)]],
        returned: [[1, credits(18)]],
        debtPaid: [[1, credits(10)]],
        after: { ...EARNED, available: credits(8), spent: credits(12) },
      }),
    );
});

test('in part, it stays frozen', () => {
  given(...BOUGHT, frozen({ ...GRANT, amount: credits(100) }))
    .when(revoke(1, credits(40)))
    .then(
      revoked({
        ...GRANT,
        amount: credits(40),
        revoked: credits(40),
        fromFrozen: credits(40),
        after: { ...EARNED, available: credits(20), frozen: credits(60) },
      }),
    );
});

const DAYS_30 = 30 * 24 * 60;

/**
 * Sixty of a hundred were used; half was revoked then, of which forty were left and ten came out of another lot; what
 * was used came back after that into the frozen lot: ten more than can still be revoked.
 */
function refundedInto(expiresAt: string | null) {
  return [
    opened(),
    granted({ amount: credits(100), source: 'purchase', expiresAt }),
    granted({ amount: credits(20), reference: 'r2' }),
    reserved({ amount: credits(60), lots: [[1, credits(60)]], expiresAt: iso(minute(600)) }),
    revoked({
      ...GRANT,
      expiresAt,
      amount: credits(50),
      revoked: credits(50),
      fromAvailable: [
        [1, credits(40)],
        [2, credits(10)],
      ],
    }),
    frozen({ ...GRANT, expiresAt, amount: ZERO, revoked: credits(50) }),
    released({ reservation: 3, amount: credits(60), toFrozen: [[1, credits(60)]] }),
  ];
}

test('what is left beyond it of a frozen lot can be spent again, for thirty days where its end has passed', () => {
  const rest = { ...GRANT, amount: credits(50), revoked: credits(100), fromFrozen: credits(50), unfrozen: credits(10) };
  given(...refundedInto(null))
    .when(revoke(1))
    .then(revoked({ ...rest, after: { ...EARNED, available: credits(20) } }));
  const expiresAt = iso(minute(60 + DAYS_30));
  given(...refundedInto(iso(minute(60))))
    .at(minute(60))
    .when(revoke(1))
    .then(revoked({ ...rest, expiresAt, after: { ...EARNED, available: credits(20), dueAt: expiresAt } }));
});

test('in parts, each says what of it was revoked so far, and never more than it gave', () => {
  const part = revoked({ ...GRANT, amount: credits(30), revoked: credits(30), fromAvailable: [[1, credits(30)]] });
  given(...BOUGHT, part)
    .when(revoke(1, credits(70)))
    .then(
      revoked({
        ...GRANT,
        amount: credits(70),
        revoked: credits(100),
        fromAvailable: [[1, credits(70)]],
        after: { ...EARNED, available: credits(20) },
      }),
    );
  given(...BOUGHT, part)
    .when(revoke(1, micro(credits(70) + 1)))
    .then({ code: 'limit_exceeded', limit: 'revocable', maximum: credits(70) });
  given(...BOUGHT)
    .when(revoke(1, micro(credits(100) + 1)))
    .then({ code: 'limit_exceeded', limit: 'revocable', maximum: credits(100) });
});

test('where nothing is left to revoke, nothing changes, and more is refused', () => {
  const whole = revoked({ ...WHOLE, fromAvailable: [[1, credits(100)]] });
  given(...BOUGHT, whole)
    .when(revoke(1))
    .then({ unchanged: 3 });
  given(...BOUGHT, whole)
    .when(revoke(1, micro(1)))
    .then({ code: 'limit_exceeded', limit: 'revocable', maximum: 0 });
});

test('refuses what is no grant', () => {
  given(...BOUGHT)
    .when(revoke(0))
    .then({ code: 'grant_not_found' });
  given(...BOUGHT)
    .when(revoke(7))
    .then({ code: 'grant_not_found' });
  given().when(revoke(0)).then({ code: 'grant_not_found' });
});

test('a grant that ran out or was spent long ago can still be taken back', () => {
  const gone = [...BOUGHT, consumed({ amount: credits(100), fromAvailable: [[1, credits(100)]] })];
  given(...gone)
    .when(revoke(1))
    .then(
      revoked({
        ...WHOLE,
        fromAvailable: [[2, credits(20)]],
        debt: credits(80),
        after: { ...EARNED, debt: credits(80), spent: credits(100) },
      }),
    );
});
