import { test } from 'vitest';
import type { ExpireDue } from '../../src/commands/expire.ts';
import { consumed, credits, expired, granted, iso, minute, opened, reserved } from '../support/account-samples.ts';
import { given } from '../support/given.ts';

const ASK: ExpireDue = { type: 'ExpireDue' };
const HELD = [opened(), granted({ amount: credits(100) }), reserved({ amount: credits(30), lots: [[1, credits(30)]] })];

test('where nothing is due nothing is written', () => {
  given().when(ASK).then({ unchanged: null });
  given(opened()).at(minute(1_000)).when(ASK).then({ unchanged: null });
  given(...HELD)
    .at(minute(15) - 1)
    .when(ASK)
    .then({ unchanged: null });
});

test('a hold is over at its time, and what it kept is back in its lot', () => {
  given(...HELD)
    .at(minute(15))
    .when(ASK)
    .then(
      expired({
        holds: [[2, credits(30)]],
        returned: [[1, credits(30)]],
        after: { available: credits(100), earned: credits(100) },
      }),
      {
        unchanged: null,
      },
    );
});

test('a lot is over at its time', () => {
  given(opened(), granted({ amount: credits(10), expiresAt: iso(minute(5)) }))
    .at(minute(5))
    .when(ASK)
    .then(expired({ lots: [[1, credits(10)]], after: { earned: credits(10) } }), { unchanged: null });
});

test('holds and lots stand by due time, not by age', () => {
  const grants = [
    granted({ amount: credits(10), reference: 'r1', expiresAt: iso(minute(9)) }),
    granted({ amount: credits(10), reference: 'r2', expiresAt: iso(minute(3)) }),
    granted({ amount: credits(10), reference: 'r3' }),
  ];
  const holds = [
    reserved({ amount: credits(2), lots: [[3, credits(2)]], expiresAt: iso(minute(8)) }),
    reserved({ amount: credits(3), lots: [[3, credits(3)]], expiresAt: iso(minute(2)) }),
    reserved({ amount: credits(4), lots: [[3, credits(4)]], expiresAt: iso(minute(60)) }),
  ];
  given(opened(), ...grants, ...holds)
    .at(minute(10))
    .when(ASK)
    .then(
      expired({
        holds: [
          [5, credits(3)],
          [4, credits(2)],
        ],
        returned: [[3, credits(5)]],
        lots: [
          [2, credits(10)],
          [1, credits(10)],
        ],
        after: { available: credits(6), reserved: credits(4), earned: credits(30), dueAt: iso(minute(60)) },
      }),
      { unchanged: null },
    );
});

test('what a hold keeps of a lot that is over stays kept, and runs out with the hold', () => {
  const lot = granted({ amount: credits(10), expiresAt: iso(minute(5)) });
  const hold = reserved({ amount: credits(4), lots: [[1, credits(4)]] });
  const first = expired({
    lots: [[1, credits(6)]],
    after: { reserved: credits(4), earned: credits(10), dueAt: iso(minute(15)) },
  });
  given(opened(), lot, hold).at(minute(5)).when(ASK).then(first, { unchanged: null });
  given(opened(), lot, hold, first)
    .at(minute(15))
    .when(ASK)
    .then(
      expired({ holds: [[2, credits(4)]], returned: [[1, credits(4)]], lots: [[1, credits(4)]], after: { earned: credits(10) } }),
      { unchanged: null },
    );
});

test('hold and lot of the same moment are over together', () => {
  given(
    opened(),
    granted({ amount: credits(10), expiresAt: iso(minute(15)) }),
    reserved({ amount: credits(4), lots: [[1, credits(4)]] }),
  )
    .at(minute(15))
    .when(ASK)
    .then(
      expired({
        holds: [[2, credits(4)]],
        returned: [[1, credits(4)]],
        lots: [[1, credits(10)]],
        after: { earned: credits(10) },
      }),
      { unchanged: null },
    );
});

test('a lot that is empty before its end leaves nothing to write', () => {
  given(
    opened(),
    granted({ amount: credits(10), expiresAt: iso(minute(5)) }),
    consumed({ amount: credits(10), fromAvailable: [[1, credits(10)]] }),
  )
    .at(minute(6))
    .when(ASK)
    .then({ unchanged: null });
});
