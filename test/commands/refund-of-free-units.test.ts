import { describe, test } from 'vitest';
import { ZERO } from '../../src/events/amounts.ts';
import { consumed, credits, granted, opened, refund, refunded } from '../support/account-samples.ts';
import { given } from '../support/given.ts';

const plainly = (revision: number) => ({ revision, priority: 50, expiresAt: null, frozen: false });
const FREE = { app: 'writer', operation: 'chat', period: 'month', key: '2026-11', units: 3, remaining: 0 } as const;

describe('free units', () => {
  const PAID = [opened(), granted({ amount: credits(10) })];
  const some = consumed({ amount: credits(10), fromAvailable: [[1, credits(10)]], free: FREE });

  test('come back with the last of the credits, and not before', () => {
    const part = refunded({ consumption: 2, amount: credits(4), restored: [[1, credits(4)]], reopened: [plainly(1)] });
    given(...PAID, some)
      .when(refund(2, credits(4)))
      .then({ ...part, after: { earned: credits(10), available: credits(4), spent: credits(6) } });
    given(...PAID, some, part)
      .when(refund(2, credits(6)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(6),
          refunded: credits(10),
          restored: [[1, credits(6)]],
          free: FREE,
          after: { earned: credits(10), available: credits(10) },
        }),
      );
    // Asking for nothing doesn't bring them sooner.
    given(...PAID, some, part)
      .when(refund(2, ZERO))
      .then({ code: 'invalid', path: 'amount', message: 'must be more than 0' });
  });

  test('come back once of a use that was all free, and can be used again', () => {
    const used = consumed({ amount: ZERO, free: FREE });
    const back = refunded({ consumption: 2, amount: ZERO, free: FREE, after: { earned: credits(10), available: credits(10) } });
    given(...PAID, used)
      .when(refund(2, ZERO))
      .then(back);
    given(...PAID, used, back)
      .when(refund(2, ZERO))
      .then({ code: 'refund_exceeds_consumption', requested: ZERO, left: ZERO });
    const price = { app: 'writer', operation: 'chat', cost: credits(1), per: 1, quantity: 3, revision: 0 };
    given(...PAID, used, back)
      .when({
        type: 'UseCredits',
        amount: { ...price, free: { uses: 3, period: 'month' } },
        operation: 'chat',
        appId: 'label',
        personal: null,
      })
      .then(consumed({ amount: ZERO, free: FREE, price, after: { earned: credits(10), available: credits(10) } }));
  });

  test('do not come back twice where all credits did', () => {
    const whole = refunded({
      consumption: 2,
      amount: credits(10),
      restored: [[1, credits(10)]],
      reopened: [plainly(1)],
      free: FREE,
    });
    given(...PAID, some, whole)
      .when(refund(2, ZERO))
      .then({ code: 'refund_exceeds_consumption', requested: ZERO, left: ZERO });
  });

  test('that were all used up before are none', () => {
    given(...PAID, consumed({ amount: credits(10), fromAvailable: [[1, credits(10)]], free: { ...FREE, units: 0 } }))
      .when(refund(2, credits(10)))
      .then(
        refunded({
          consumption: 2,
          amount: credits(10),
          restored: [[1, credits(10)]],
          reopened: [plainly(1)],
          after: { earned: credits(10), available: credits(10) },
        }),
      );
    given(...PAID, consumed({ amount: ZERO, free: { ...FREE, units: 0 } }))
      .when(refund(2, ZERO))
      .then({ code: 'invalid', path: 'amount', message: 'must be more than 0' });
  });
});
