import { expect, test } from 'vitest';
import { accountDecider } from '../../src/commands/account-decider.ts';
import { type Hold, initialAccount, MAX_HOLDS, MAX_LOTS, type OpenAccount } from '../../src/commands/account.ts';
import { type Micro, micro, ZERO } from '../../src/events/amounts.ts';
import { grantClaim } from '../../src/events/claims.ts';
import {
  consumed,
  credits,
  grant,
  granted,
  iso,
  minute,
  opened,
  reserve,
  reserved,
  START,
  use,
} from '../support/account-samples.ts';
import { given } from '../support/given.ts';

/** Lots of ten credits each, made in this order at the revisions 1 to 5. */
function tens(...lots: readonly { priority?: number; expiresAt?: string }[]) {
  return [opened(), ...lots.map((lot, index) => granted({ amount: credits(10), reference: `r${index}`, ...lot }))];
}

function expectSpent(lots: ReturnType<typeof tens>, amount: Micro, fromAvailable: readonly [number, Micro][]): void {
  const earned = micro(credits(10) * (lots.length - 1));
  const after = { available: micro(earned - amount), earned, spent: amount };
  given(...lots)
    .when(use(amount))
    .then(consumed({ amount, fromAvailable, after }));
}

test('lots are spent by priority, whatever their age', () => {
  expectSpent(tens({ priority: 50 }, { priority: 100 }, { priority: 1 }, { priority: 49 }), credits(35), [
    [3, credits(10)],
    [4, credits(10)],
    [1, credits(10)],
    [2, credits(5)],
  ]);
});

test('of one priority the soonest to run out comes first, those that never do come last, and the oldest before the newer', () => {
  const lots = tens({}, { expiresAt: iso(minute(90)) }, { expiresAt: iso(minute(60)) }, {}, { expiresAt: iso(minute(90)) });
  const fromAvailable: [number, Micro][] = [
    [3, credits(10)],
    [2, credits(10)],
    [5, credits(10)],
    [1, credits(10)],
    [4, credits(1)],
  ];
  given(...lots)
    .when(use(credits(41)))
    .then(
      consumed({ amount: credits(41), fromAvailable, after: { available: credits(9), earned: credits(50), spent: credits(41) } }),
    );
});

test('priority comes before expiry', () => {
  given(...tens({ priority: 2, expiresAt: iso(minute(1)) }, { priority: 1 }))
    .when(use(credits(11)))
    .then(
      consumed({
        amount: credits(11),
        fromAvailable: [
          [2, credits(10)],
          [1, credits(1)],
        ],
        after: { available: credits(9), earned: credits(20), spent: credits(11), dueAt: iso(minute(1)) },
      }),
    );
});

test('a hold is split over lots in the same order, and passes over what another hold keeps', () => {
  given(
    ...tens({ priority: 2 }, { priority: 1 }, { priority: 3 }),
    reserved({
      amount: credits(12),
      lots: [
        [2, credits(10)],
        [1, credits(2)],
      ],
    }),
  )
    .when(reserve({ amount: credits(9) }))
    .then(
      reserved({
        amount: credits(9),
        lots: [
          [1, credits(8)],
          [3, credits(1)],
        ],
        after: { available: credits(9), reserved: credits(21), earned: credits(30), dueAt: iso(minute(15)) },
      }),
    );
});

test('a thousand lots of a micro-credit are spent as one amount', () => {
  const lots = Array.from({ length: 1_000 }, (_, index) => granted({ amount: micro(1), reference: `r${index}` }));
  const fromAvailable = lots.map((_, index): [number, Micro] => [index + 1, micro(1)]);
  given(opened(), ...lots)
    .when(use(micro(1_000)))
    .then(consumed({ amount: micro(1_000), fromAvailable, after: { earned: micro(1_000), spent: micro(1_000) } }));
});

const CONTEXT = {
  now: START,
  stream: 'account-u1',
  actor: { kind: 'service', app: 'writer', key: 'k1' },
  app: 'writer',
  revision: 1,
} as const;
const NO_FACTS = { claimed: () => undefined, standing: () => undefined };

/** An account with so many lots of a credit and so many holds of a micro-credit on the first. */
function crowded(lots: number, holds: number): OpenAccount {
  const lot = (index: number) => ({
    revision: index + 1,
    free: credits(1),
    held: ZERO,
    frozen: false,
    priority: 50,
    expiresAt: null,
  });
  const hold = (index: number): Hold => ({
    revision: 10_000 + index,
    amount: micro(1),
    lots: [[1, micro(1)]],
    app: 'writer',
    operation: null,
    appId: null,
    expiresAt: minute(15),
  });
  return {
    status: 'open',
    revision: 20_000,
    signedUp: false,
    freeUsed: [],
    balances: {
      frozen: ZERO,
      available: micro(credits(lots) - holds),
      reserved: micro(holds),
      debt: ZERO,
      earned: credits(lots),
      spent: ZERO,
      dueAt: holds === 0 ? null : iso(minute(15)),
    },
    lots: Array.from({ length: lots }, (_, index) =>
      index === 0 ? { ...lot(0), free: micro(credits(1) - holds), held: micro(holds) } : lot(index),
    ),
    holds: Array.from({ length: holds }, (_, index) => hold(index)),
  };
}

test('a grant beyond two thousand open lots is refused, and taken again when one is empty', () => {
  const one = grant({ amount: credits(1), reference: 'one more' });
  expect(accountDecider.decide(one, crowded(MAX_LOTS, 0), NO_FACTS, CONTEXT)).toEqual({
    kind: 'reject',
    rejection: { code: 'limit_exceeded', limit: 'openLots', maximum: 2_000 },
    unless: [grantClaim(one.reason, one.reference)],
  });
  expect(accountDecider.decide(one, crowded(MAX_LOTS - 1, 0), NO_FACTS, CONTEXT)).toMatchObject({
    kind: 'append',
    events: [{ type: 'CreditsGranted', data: { after: { available: credits(MAX_LOTS) } } }],
  });
});

test('a hold beyond five thousand open ones is refused', () => {
  const one = reserve({ amount: micro(1) });
  expect(accountDecider.decide(one, crowded(1, MAX_HOLDS), NO_FACTS, CONTEXT)).toEqual({
    kind: 'reject',
    rejection: { code: 'limit_exceeded', limit: 'openHolds', maximum: 5_000 },
  });
  expect(accountDecider.decide(one, crowded(1, MAX_HOLDS - 1), NO_FACTS, CONTEXT)).toMatchObject({
    kind: 'append',
    events: [{ type: 'CreditsReserved', data: { after: { reserved: micro(MAX_HOLDS) } } }],
  });
});

test('a crowded account spends all of its lots at once, and lets empty ones go', () => {
  const account = crowded(MAX_LOTS, 0);
  const decision = accountDecider.decide(use(credits(MAX_LOTS)), account, NO_FACTS, CONTEXT);
  if (decision.kind !== 'append') throw new Error('refused');
  const [event] = decision.events;
  expect(event.data.after).toMatchObject({ available: ZERO, spent: credits(MAX_LOTS) });
  expect(accountDecider.weigh(account)).toBe(1 + MAX_LOTS);
  expect(accountDecider.weigh(initialAccount)).toBe(1);
});
