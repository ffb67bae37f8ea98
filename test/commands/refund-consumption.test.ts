import { describe, test } from 'vitest';
import { type Micro, micro, ZERO } from '../../src/events/amounts.ts';
import { commit, consumed, credits, granted, opened, refund, refunded, reserved } from '../support/account-samples.ts';
import { given } from '../support/given.ts';

const EARNED = { earned: credits(100) };
/** Two lots, and event 3 took the first whole and half of the second. */
const TWO_LOTS = [opened(), granted({ amount: credits(60) }), granted({ amount: credits(40), reference: 'r2' })];
const USED = [
  ...TWO_LOTS,
  consumed({
    amount: credits(80),
    fromAvailable: [
      [1, credits(60)],
      [2, credits(20)],
    ],
  }),
];
const plainly = (revision: number) => ({ revision, priority: 50, expiresAt: null, frozen: false });

describe('the same lots, the last taken first', () => {
  test('all of it is back where it came from', () => {
    given(...USED)
      .when(refund(3, credits(80)))
      .then(
        refunded({
          consumption: 3,
          amount: credits(80),
          restored: [
            [2, credits(20)],
            [1, credits(60)],
          ],
          reopened: [plainly(1)],
          after: { ...EARNED, available: credits(100) },
        }),
      );
  });

  test('a part of it comes from the lot that was taken last', () => {
    given(...USED)
      .when(refund(3, micro(1)))
      .then(
        refunded({
          consumption: 3,
          amount: micro(1),
          restored: [[2, micro(1)]],
          after: { ...EARNED, available: micro(20_000_001), spent: micro(79_999_999) },
        }),
      );
  });

  test('the next part goes on where the one before it ended, to the last micro-credit', () => {
    const first = refunded({ consumption: 3, amount: credits(10), restored: [[2, credits(10)]] });
    const second = refunded({
      consumption: 3,
      amount: credits(30),
      refunded: credits(40),
      restored: [
        [2, credits(10)],
        [1, credits(20)],
      ],
      reopened: [plainly(1)],
      after: { ...EARNED, available: credits(60), spent: credits(40) },
    });
    given(...USED, first)
      .when(refund(3, credits(30)))
      .then(second);
    given(...USED, first, second)
      .when(refund(3, credits(40)))
      .then(
        refunded({
          consumption: 3,
          amount: credits(40),
          refunded: credits(80),
          restored: [[1, credits(40)]],
          after: { ...EARNED, available: credits(100) },
        }),
      );
  });

  test("of a commit, what was taken beyond the hold comes back before the hold's own", () => {
    const lots = [opened(), granted({ amount: credits(30), priority: 10 }), granted({ amount: credits(70), reference: 'r2' })];
    const captured = [
      ...lots,
      reserved({ amount: credits(30), lots: [[1, credits(30)]] }),
      consumed({ amount: credits(45), reservation: 3, fromHold: [[1, credits(30)]], fromAvailable: [[2, credits(15)]] }),
    ];
    const back = refunded({
      consumption: 4,
      amount: credits(20),
      restored: [
        [2, credits(15)],
        [1, credits(5)],
      ],
      reopened: [{ ...plainly(1), priority: 10 }],
      after: { ...EARNED, available: credits(75), spent: credits(25) },
    });
    given(...captured)
      .when(refund(4, credits(20)))
      .then(back);
    // The hold is as settled as before.
    given(...captured, back)
      .when(commit(3, credits(45)))
      .then({ repeats: 4 });
  });

  test('a lot that was taken from twice is named once', () => {
    given(
      opened(),
      granted({ amount: credits(100) }),
      reserved({ amount: credits(30), lots: [[1, credits(30)]] }),
      consumed({ amount: credits(45), reservation: 2, fromHold: [[1, credits(30)]], fromAvailable: [[1, credits(15)]] }),
    )
      .when(refund(3, credits(20)))
      .then(
        refunded({
          consumption: 3,
          amount: credits(20),
          restored: [[1, credits(20)]],
          after: { ...EARNED, available: credits(75), spent: credits(25) },
        }),
      );
  });

  test('it is told of the app that consumed, whoever gives back, with the words and label of its own', () => {
    const used = consumed({ amount: credits(5), fromAvailable: [[1, credits(5)]], by: 'studio', operation: 'image' });
    const back = {
      consumption: 2,
      amount: credits(5),
      app: 'studio',
      operation: 'image',
      restored: [[1, credits(5)]] as [number, Micro][],
      after: { earned: credits(9), available: credits(9) },
    };
    given(opened(), granted({ amount: credits(9) }), used)
      .by('desk')
      .when({ ...refund(2, credits(5)), appId: 'help', personal: '1.k.c' })
      .then(refunded({ ...back, appId: 'help', personal: '1.k.c' }));
    given(opened(), granted({ amount: credits(9) }), used)
      .when(refund(2, credits(5)))
      .then(refunded(back));
  });
});

describe('never more than was covered', () => {
  const tooMuch = (requested: Micro, left: Micro) => ({ code: 'refund_exceeds_consumption', requested, left }) as const;

  test('one micro-credit more than is left is refused, and what is left is named', () => {
    const first = refunded({ consumption: 3, amount: credits(10), restored: [[2, credits(10)]] });
    const rest = refunded({
      consumption: 3,
      amount: credits(70),
      refunded: credits(80),
      restored: [
        [2, credits(10)],
        [1, credits(60)],
      ],
      reopened: [plainly(1)],
    });
    given(...USED)
      .when(refund(3, micro(80_000_001)))
      .then(tooMuch(micro(80_000_001), credits(80)));
    given(...USED, first)
      .when(refund(3, micro(70_000_001)))
      .then(tooMuch(micro(70_000_001), credits(70)));
    given(...USED, first, rest)
      .when(refund(3, micro(1)))
      .then(tooMuch(micro(1), ZERO));
  });

  test('what an app that is only observed used and nobody paid does not come back', () => {
    given(
      opened(),
      granted({ amount: credits(5) }),
      consumed({ amount: credits(5), fromAvailable: [[1, credits(5)]], uncovered: credits(7) }),
    )
      .when(refund(2, micro(5_000_001)))
      .then(tooMuch(micro(5_000_001), credits(5)));
  });

  test('what is no consumption of this account is not found', () => {
    const back = refunded({ consumption: 3, amount: credits(10), restored: [[2, credits(10)]] });
    const held = reserved({ amount: credits(5), lots: [[2, credits(5)]] });
    for (const revision of [0, 1, 4, 5, 6, 99]) {
      given(...USED, back, held)
        .when(refund(revision, credits(1)))
        .then({ code: 'transaction_not_found' });
    }
    given()
      .when(refund(0, credits(1)))
      .then({ code: 'transaction_not_found' });
  });

  test('nothing is no refund', () => {
    given(...USED)
      .when(refund(3, ZERO))
      .then({ code: 'invalid', path: 'amount', message: 'must be more than 0' });
  });
});
