import fc from 'fast-check';
import type { LotAmounts } from '../../src/events/account-events.ts';
import { type Micro, micro, ZERO } from '../../src/events/amounts.ts';
import { consumed, expired, granted, refunded, released, reserved, type Sample } from './account-samples.ts';
import { debited, frozen, revoked, unfrozen } from './grant-samples.ts';

/* Events of every type with any lots at all, as long as their own parts add up. */

const amount = fc.integer({ min: 1, max: 1_000_000_000_000 }).map(micro);
const none: fc.Arbitrary<LotAmounts> = fc.constant([]);
const lots: fc.Arbitrary<LotAmounts> = fc.oneof(none, fc.array(fc.tuple(fc.nat(500), amount), { maxLength: 8 }));

/** What isn't there is left out. */
const debtPaid = fc.oneof(
  fc.constant({}),
  lots.map((paid) => ({ debtPaid: paid })),
);
const toFrozen = fc.oneof(fc.constant([]), lots);

function sum(...parts: readonly LotAmounts[]): Micro {
  return micro(parts.flat().reduce((total, [, part]) => total + part, 0));
}

const outflows = [
  lots.map((held) => reserved({ amount: sum(held), lots: held })),
  lots.map((taken) => debited({ amount: sum(taken), lots: taken })),
  lots.map((taken) => consumed({ amount: sum(taken), fromAvailable: taken })),
  amount.map((one) => frozen({ grant: 1, granted: one, amount: one })),
];

const inflows = [
  fc.tuple(amount, debtPaid).map(([one, paid]) => granted({ amount: one, ...paid })),
  fc.tuple(amount, debtPaid).map(([one, paid]) => unfrozen({ grant: 1, granted: one, amount: one, ...paid })),
  fc.tuple(lots, toFrozen, fc.option(amount, { nil: undefined }), debtPaid).map(([restored, refrozen, fresh, paid]) =>
    refunded({
      consumption: 2,
      amount: micro(sum(restored, refrozen) + (fresh ?? 0)),
      restored,
      ...(refrozen.length > 0 && { toFrozen: refrozen }),
      ...(fresh !== undefined && { fresh: { amount: fresh, priority: 50, expiresAt: null } }),
      ...paid,
    }),
  ),
];

const settlements = [
  fc
    .tuple(fc.tuple(lots, lots, lots, lots), toFrozen, debtPaid)
    .map(([[fromHold, fromAvailable, returned, lapsed], refrozen, paid]) =>
      consumed({
        amount: sum(fromHold, fromAvailable),
        reservation: 2,
        fromHold,
        fromAvailable,
        returned,
        lapsed,
        toFrozen: refrozen,
        ...paid,
      }),
    ),
  fc
    .tuple(lots, lots, toFrozen, debtPaid)
    .map(([returned, lapsed, refrozen, paid]) =>
      released({ reservation: 2, amount: sum(returned, lapsed, refrozen), returned, lapsed, toFrozen: refrozen, ...paid }),
    ),
  fc
    .tuple(lots, lots, toFrozen, debtPaid)
    .map(([returned, over, refrozen, paid]) =>
      expired({ holds: [[2, sum(returned, refrozen)]], returned, lots: over, toFrozen: refrozen, ...paid }),
    ),
];

const revocations = fc
  .tuple(lots, fc.tuple(fc.constantFrom(ZERO, micro(7)), fc.constantFrom(ZERO, micro(3)), fc.option(amount)), debtPaid)
  .map(([fromAvailable, [fromFrozen, debt, left], paid]) => {
    const taken = micro(sum(fromAvailable) + fromFrozen + debt);
    const whole = { grant: 1, granted: taken, revoked: taken, amount: taken };
    return revoked({ ...whole, fromAvailable, fromFrozen, debt, ...(left !== null && { unfrozen: left }), ...paid });
  });

/** An event of any type of an account, with the actor it was made by. */
export const anyMovement: fc.Arbitrary<Sample> = fc.oneof(...outflows, ...inflows, ...settlements, revocations);
