import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Account, evolve, initialAccount, MAX_FREE, type OpenAccount } from '../../src/commands/account.ts';
import { opening, withBalances } from '../../src/commands/balances.ts';
import { chargeOf, freeUsesLeft, type PricedUse } from '../../src/commands/price.ts';
import { decideUseCredits } from '../../src/commands/use-credits.ts';
import type { FreeUnits } from '../../src/events/account-events.ts';
import type { AboutLots } from '../../src/events/lot-changes.ts';
import { freeUsedAfter } from '../../src/commands/free-units.ts';
import { type Micro, micro, ZERO } from '../../src/events/amounts.ts';
import { consumed, credits, granted, iso, minute, opened, released, reserved, START } from '../support/account-samples.ts';
import { given } from '../support/given.ts';

const PICTURE = { app: 'picture', operation: 'image', cost: credits(10), per: 1, quantity: 1, revision: 3 } as const;
const THREE_FREE: PricedUse = { ...PICTURE, free: { uses: 3, period: 'lifetime' } };
const [price] = [PICTURE];

/** A use of the picture app's operation. */
function draw(asked: PricedUse, observed = false) {
  return { type: 'UseCredits', amount: asked, observed, operation: 'image', appId: 'picture', personal: null } as const;
}

function hold(asked: PricedUse) {
  const named = { operation: 'image', appId: 'picture', personal: null };
  return { type: 'ReserveCredits', amount: asked, ttl: minute(15) - START, ...named } as const;
}

function freeUse(remaining: number, units = 1): FreeUnits {
  return { app: 'picture', key: '', operation: 'image', period: 'lifetime', remaining, units };
}

const IMAGE = { operation: 'image', appId: 'picture', price } as const;
const funded = [opened(), granted({ amount: credits(50) })] as const;
const rich = { available: credits(50), earned: credits(50) };

describe('an operation', () => {
  test('costs what the catalogue says, and the event names the price in force', () => {
    given(...funded)
      .when(draw({ ...PICTURE, quantity: 2, free: null }))
      .then(
        consumed({
          ...IMAGE,
          price: { ...price, quantity: 2 },
          amount: credits(20),
          fromAvailable: [[1, credits(20)]],
          after: { available: credits(30), earned: credits(50), spent: credits(20) },
        }),
      );
  });

  test('priced by the bundle costs a share of it, rounded up to the micro-credit', () => {
    const account = opening().account;
    const bulk: PricedUse = { ...PICTURE, cost: micro(200_000), per: 10, free: null, quantity: 15 };
    expect(chargeOf(bulk, account, START)).toMatchObject({ amount: 300_000 });
    expect(chargeOf({ ...bulk, cost: micro(1), per: 3, quantity: 4 }, account, START)).toMatchObject({ amount: 2 });
  });

  test('never costs more than a caller may name', () => {
    const dear: PricedUse = { ...PICTURE, cost: micro(10 ** 15), quantity: 2, free: null };
    expect(chargeOf(dear, opening().account, START)).toEqual({ code: 'limit_exceeded', limit: 'amount', maximum: 10 ** 15 });
  });

  test('costs whatever it is split into at least what it costs at once, and less than a micro-credit more a part', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10 ** 9 }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 8 }),
        (cost, per, parts) => {
          const charge = (quantity: number): number => {
            const asked = { ...PICTURE, cost: micro(cost), per, quantity, free: null };
            const charged = chargeOf(asked, opening().account, START);
            if ('code' in charged) throw new Error(charged.code);
            return charged.amount;
          };
          const whole = charge(parts.reduce((sum, part) => sum + part, 0));
          const split = parts.reduce((sum, part) => sum + charge(part), 0);
          expect(split).toBeGreaterThanOrEqual(whole);
          expect(split - whole).toBeLessThan(parts.length);
        },
      ),
    );
  });
});

describe('a free allowance', () => {
  const after = (spent: number) => ({ available: credits(50 - spent), earned: credits(50), spent: credits(spent) });
  const use = (free: ReturnType<typeof freeUse>) => consumed({ ...IMAGE, amount: ZERO, free, after: after(0) });
  const paid = (remaining: number, spent: number) =>
    consumed({
      ...IMAGE,
      amount: credits(10),
      free: freeUse(remaining, 0),
      fromAvailable: [[1, credits(10)]],
      after: after(spent),
    });

  test('of three covers three, and the fourth costs ten', () => {
    given(...funded)
      .when(draw(THREE_FREE))
      .then(use(freeUse(2)));
    given(...funded, use(freeUse(2)), use(freeUse(1)))
      .when(draw(THREE_FREE))
      .then(use(freeUse(0)));
    given(...funded, use(freeUse(2)), use(freeUse(1)), use(freeUse(0)))
      .when(draw(THREE_FREE))
      .then(paid(0, 10));
  });

  test('covers a part of a larger quantity', () => {
    given(...funded, use(freeUse(2)))
      .when(draw({ ...THREE_FREE, quantity: 4 }))
      .then(
        consumed({
          ...IMAGE,
          price: { ...price, quantity: 4 },
          amount: credits(20),
          free: freeUse(0, 2),
          fromAvailable: [[1, credits(20)]],
          after: after(20),
        }),
      );
  });

  test('is counted for each app and operation of its own', () => {
    given(...funded, use(freeUse(2)), use(freeUse(1)), use(freeUse(0)))
      .when(draw({ ...THREE_FREE, operation: 'upscale' }))
      .then(
        consumed({
          ...IMAGE,
          price: { ...price, operation: 'upscale' },
          amount: ZERO,
          free: { ...freeUse(2), operation: 'upscale' },
          after: after(0),
        }),
      );
  });

  test.each([
    ['day', '2026-11-02', minute(14 * 60)],
    ['month', '2026-11', Date.parse('2026-12-01T00:00:00.000Z')],
  ] as const)('of a %s begins anew with the next one, in UTC', (period, key, next) => {
    const asked: PricedUse = { ...PICTURE, free: { uses: 1, period } };
    const free = { ...freeUse(0), period, key };
    given(...funded)
      .at(next - 1)
      .when(draw(asked))
      .then(use(free));
    const used = [...funded, use(free)];
    const charged = { amount: credits(10), fromAvailable: [[1, credits(10)]] as const, after: after(10) };
    given(...used)
      .at(next - 1)
      .when(draw(asked))
      .then(consumed({ ...IMAGE, ...charged, fromAvailable: [[1, credits(10)]], free: { ...free, units: 0 } }));
    const anew = iso(next).slice(0, key.length);
    given(...used)
      .at(next)
      .when(draw(asked))
      .then(use({ ...free, key: anew }));
  });

  test('held by a reservation is taken, stays taken when it is committed, and comes back when it is released', () => {
    const held = reserved({ ...IMAGE, amount: ZERO, lots: [], free: freeUse(2), after: { ...rich, dueAt: iso(minute(15)) } });
    given(...funded)
      .when(hold(THREE_FREE))
      .then(held);
    given(...funded, held)
      .when({ type: 'CommitReservation', reservation: 2, amount: null, onExpired: 'available', personal: null })
      .then(consumed({ ...IMAGE, amount: ZERO, reservation: 2, free: freeUse(2), after: rich }));
    const back = released({ reservation: 2, amount: ZERO, free: freeUse(2), after: rich });
    given(...funded, held)
      .when({ type: 'ReleaseReservation', reservation: 2, personal: null })
      .then(back);
    given(...funded, held, back)
      .when(draw(THREE_FREE))
      .then(use(freeUse(2)));
  });

  test('is no credit of an account that nobody opened', () => {
    given().when(draw(THREE_FREE)).then({ code: 'insufficient_credits', required: ZERO, available: ZERO, operation: 'image' });
  });

  test('is counted for a thousand operations of an account, and no more', () => {
    const { account } = opening();
    const freeUsed = Array.from({ length: MAX_FREE }, (_, index) => ({ ...freeUse(2), operation: `o${index}` }));
    const crowded: OpenAccount = { ...account, freeUsed };
    expect(chargeOf(THREE_FREE, crowded, START)).toEqual({ code: 'limit_exceeded', limit: 'freeOperations', maximum: MAX_FREE });
    expect(chargeOf({ ...THREE_FREE, operation: 'o7' }, crowded, START)).toMatchObject({ amount: 0 });
    expect(initialAccount).toEqual({ status: 'unopened' });
  });

  test('of days that are over takes no room', () => {
    const { account } = opening();
    const day = (operation: string, key: string) => ({ ...freeUse(2), operation, period: 'day' as const, key });
    const freeUsed = Array.from({ length: MAX_FREE }, (_, index) => day(`o${index}`, '2026-11-01'));
    const today: PricedUse = { ...PICTURE, free: { uses: 3, period: 'day' } };
    const charged = chargeOf(today, { ...account, freeUsed }, START);
    expect(charged).toMatchObject({ amount: 0, free: { key: '2026-11-02', units: 1 } });
    const event = { type: 'CreditsReserved', data: { free: day('image', '2026-11-02') } };
    expect(freeUsedAfter(freeUsed, event as AboutLots)).toEqual([day('image', '2026-11-02')]);
  });

  test('of bundles says how many whole uses are left', () => {
    expect(freeUsesLeft({ ...freeUse(25), units: 5 }, { ...price, per: 10 })).toBe(2);
  });
});

describe('an app that is only observed', () => {
  const dear: PricedUse = { ...PICTURE, quantity: 6, free: null };
  const six = { ...price, quantity: 6 };

  test('is never refused: what is not covered is recorded, and the balance stays at zero', () => {
    given(...funded)
      .when(draw(dear, true))
      .then(
        consumed({
          ...IMAGE,
          price: six,
          amount: credits(50),
          fromAvailable: [[1, credits(50)]],
          uncovered: credits(10),
          after: { earned: credits(50), spent: credits(50) },
        }),
      );
  });

  test('opens the account that it uses', () => {
    given()
      .when(draw(dear, true))
      .then(opened({}), consumed({ ...IMAGE, price: six, amount: ZERO, uncovered: credits(60), after: {} }));
  });

  test('holds what there is, and commits what it asked for', () => {
    const held = reserved({
      ...IMAGE,
      price: six,
      amount: credits(50),
      lots: [[1, credits(50)]],
      uncovered: credits(10),
      after: { reserved: credits(50), earned: credits(50), dueAt: iso(minute(15)) },
    });
    given(...funded)
      .when({ ...hold(dear), observed: true })
      .then(held);
    const commit = { type: 'CommitReservation', reservation: 2, onExpired: 'available', personal: null } as const;
    const whole = consumed({
      ...IMAGE,
      price: six,
      amount: credits(50),
      reservation: 2,
      fromHold: [[1, credits(50)]],
      uncovered: credits(10),
      after: { earned: credits(50), spent: credits(50) },
    });
    given(...funded, held)
      .when({ ...commit, amount: null })
      .then(whole);
    given(...funded, held)
      .when({ ...commit, amount: credits(61) })
      .then({ code: 'insufficient_credits', required: credits(61), available: credits(50), operation: 'image' });
    given(...funded, held, whole)
      .when({ ...commit, amount: null })
      .then({ repeats: 3 });
  });
});

// Prices of a hundredth, a tenth and a half, a million times: no fraction is lost.
test('a million operations at 0.02, 0.1 and 0.5 end exactly where arithmetic says', () => {
  const costs = [micro(20_000), micro(100_000), micro(500_000)];
  const actor = { kind: 'service', app: 'picture', key: 'k1' } as const;
  const { account: empty } = opening();
  const context = { now: START, stream: 'account-u1', actor, app: 'picture', revision: 0 };
  let account: Account = evolve(empty, {
    ...withBalances(empty, granted({ amount: credits(1_000_000) })),
    revision: 1,
    metadata: { actor },
  });
  for (let index = 0; index < 1_000_000; index += 1) {
    const cost = costs[index % 3] as Micro;
    const decision = decideUseCredits(draw({ ...PICTURE, cost, free: null }), account, context);
    if (decision.kind !== 'append') throw new Error(decision.kind);
    for (const event of decision.events) account = evolve(account, { ...event, revision: index + 2, metadata: { actor } });
  }
  // 333,334 × 0.02 + 333,333 × 0.1 + 333,333 × 0.5 credits.
  const spent = 333_334 * 20_000 + 333_333 * 100_000 + 333_333 * 500_000;
  expect(account).toMatchObject({
    balances: { spent, available: credits(1_000_000) - spent, reserved: 0, earned: credits(1_000_000) },
  });
});
