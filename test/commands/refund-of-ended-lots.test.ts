import { describe, test } from 'vitest';
import {
  consumed,
  credits,
  expired,
  granted,
  iso,
  minute,
  opened,
  refund,
  refunded,
  reserved,
} from '../support/account-samples.ts';
import { given } from '../support/given.ts';

/** In minutes. */
const MONTH = 30 * 24 * 60;
const plainly = (revision: number) => ({ revision, priority: 50, expiresAt: null, frozen: false });

describe('a lot that has ended meanwhile', () => {
  const ENDING = [
    opened(),
    granted({ amount: credits(10), expiresAt: iso(minute(5)) }),
    consumed({ amount: credits(10), fromAvailable: [[1, credits(10)]] }),
  ];

  test('comes back as a fresh one with 30 days; a moment earlier it is the same one', () => {
    const fresh = { amount: credits(10), priority: 50, expiresAt: iso(minute(5 + MONTH)) };
    given(...ENDING)
      .at(minute(5))
      .when(refund(2, credits(10)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(10),
          fresh,
          after: { earned: credits(10), available: credits(10), dueAt: fresh.expiresAt },
        }),
      );
    given(...ENDING)
      .at(minute(5) - 1)
      .when(refund(2, credits(10)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(10),
          restored: [[1, credits(10)]],
          reopened: [{ ...plainly(1), expiresAt: iso(minute(5)) }],
          after: { earned: credits(10), available: credits(10), dueAt: iso(minute(5)) },
        }),
      );
  });

  test('goes with others like it into one fresh lot, beside what goes back to lots that stand', () => {
    given(
      opened(),
      granted({ amount: credits(1), expiresAt: iso(minute(5)) }),
      granted({ amount: credits(2), expiresAt: iso(minute(6)), reference: 'r2' }),
      granted({ amount: credits(9), reference: 'r3' }),
      consumed({
        amount: credits(6),
        fromAvailable: [
          [1, credits(1)],
          [2, credits(2)],
          [3, credits(3)],
        ],
      }),
    )
      .at(minute(7))
      .when(refund(4, credits(6)))
      .then(
        refunded({
          consumption: 4,
          amount: credits(6),
          restored: [[3, credits(3)]],
          fresh: { amount: credits(3), priority: 50, expiresAt: iso(minute(7 + MONTH)) },
          after: { earned: credits(12), available: credits(12), dueAt: iso(minute(7 + MONTH)) },
        }),
      );
  });

  test('is not what a hold still keeps of it', () => {
    given(
      opened(),
      granted({ amount: credits(10), expiresAt: iso(minute(5)) }),
      consumed({ amount: credits(4), fromAvailable: [[1, credits(4)]] }),
      reserved({ amount: credits(6), lots: [[1, credits(6)]] }),
    )
      .at(minute(6))
      .when(refund(2, credits(4)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(4),
          fresh: { amount: credits(4), priority: 50, expiresAt: iso(minute(6 + MONTH)) },
          after: { earned: credits(10), available: credits(4), reserved: credits(6), dueAt: iso(minute(15)) },
        }),
      );
  });

  test('may be a fresh one itself: it is named by the refund that made it', () => {
    const fresh = { amount: credits(10), priority: 50, expiresAt: iso(minute(6 + MONTH)) };
    const again = [
      ...ENDING,
      refunded({ consumption: 2, amount: credits(10), fresh }),
      consumed({ amount: credits(10), fromAvailable: [[3, credits(10)]] }),
    ];
    given(...again)
      .at(minute(7))
      .when(refund(4, credits(10)))
      .then(
        refunded({
          consumption: 4,
          amount: credits(10),
          restored: [[3, credits(10)]],
          reopened: [{ ...plainly(3), expiresAt: fresh.expiresAt }],
          after: { earned: credits(10), available: credits(10), dueAt: fresh.expiresAt },
        }),
      );
    given(...again)
      .at(minute(6 + MONTH))
      .when(refund(4, credits(10)))
      .then(
        refunded({
          consumption: 4,
          amount: credits(10),
          fresh: { ...fresh, expiresAt: iso(minute(6 + 2 * MONTH)) },
          after: { earned: credits(10), available: credits(10), dueAt: iso(minute(6 + 2 * MONTH)) },
        }),
      );
  });

  test('runs out with what came back to it', () => {
    const due = iso(minute(5));
    given(
      ...ENDING,
      refunded({
        consumption: 2,
        amount: credits(4),
        restored: [[1, credits(4)]],
        reopened: [{ ...plainly(1), expiresAt: due }],
      }),
    )
      .at(minute(5))
      .when(refund(2, credits(6)))
      .then(
        expired({ lots: [[1, credits(4)]], after: { earned: credits(10), spent: credits(6) } }),
        refunded({
          consumption: 2,
          amount: credits(6),
          refunded: credits(10),
          fresh: { amount: credits(6), priority: 50, expiresAt: iso(minute(5 + MONTH)) },
          after: { earned: credits(10), available: credits(6), dueAt: iso(minute(5 + MONTH)) },
        }),
      );
  });
});
