import { expect, test } from 'vitest';
import { accountDecider } from '../../src/commands/account-decider.ts';
import { type Account, evolve, type Hold } from '../../src/commands/account.ts';
import { balancesOf } from '../../src/commands/balances.ts';
import type { Lot } from '../../src/commands/lots.ts';
import { accountSchemas, type FreeUnits } from '../../src/events/account-events.ts';
import { micro, plus, ZERO } from '../../src/events/amounts.ts';
import { eventFixture, fixtureNames } from '../support/event-fixtures.ts';
import { readAccountEvent } from '../support/read-account-event.ts';
import { expectSound } from '../support/sound-event.ts';

/* What every stored event of an account made of it when its version was the newest, it makes of it today. */

/** A lot in micro-credits. `ends`: as events hold times. */
type Terms = { readonly revision: number; readonly priority: number; readonly ends: string | null; readonly frozen?: boolean };

function lot({ revision, priority, ends, frozen = false }: Terms, free: number, held = 0): Lot {
  return { revision, free: micro(free), held: micro(held), frozen, priority, expiresAt: ends === null ? null : Date.parse(ends) };
}

function hold(revision: number, ends: string, ...lots: readonly (readonly [number, number])[]): Hold {
  const parts = lots.map(([of, amount]): [number, ReturnType<typeof micro>] => [of, micro(amount)]);
  const amount = micro(lots.reduce((sum, [, part]) => sum + part, 0));
  return { revision, amount, lots: parts, app: 'studio', operation: 'image', appId: 'studio', expiresAt: Date.parse(ends) };
}

type Known = {
  readonly earned?: number;
  readonly spent?: number;
  readonly debt?: number;
  readonly freeUsed?: readonly FreeUnits[];
};

function account(
  lots: readonly Lot[],
  holds: readonly Hold[],
  { earned = 0, spent = 0, debt = 0, freeUsed = [] }: Known = {},
): Account {
  const balances = {
    available: lots.reduce((sum, one) => plus(sum, one.frozen ? ZERO : one.free), ZERO),
    frozen: lots.reduce((sum, one) => plus(sum, one.frozen ? one.free : ZERO), ZERO),
    reserved: lots.reduce((sum, one) => plus(sum, one.held), ZERO),
    debt: micro(debt),
    earned: micro(earned),
    spent: micro(spent),
    dueAt: null,
  };
  return { status: 'open', revision: 0, balances, lots, holds, freeUsed, signedUp: false };
}

/** The account before a stored event, and the lots and holds behind it; what it leaves of free units, if the account has some. */
type Around = {
  readonly before: Account;
  readonly lots: readonly Lot[];
  readonly holds: readonly Hold[];
  readonly freeUsed?: readonly FreeUnits[];
};

const ENDS = { hold3: '2026-11-02T10:17:30.120Z', hold6: '2026-11-02T09:45:30.120Z', hold9: '2026-11-02T10:29:30.120Z' };
const LOT1 = { revision: 1, priority: 10, ends: '2026-11-02T09:35:30.120Z' };
const LOT2 = { revision: 2, priority: 50, ends: null };
const LOT4 = { revision: 4, priority: 20, ends: '2026-11-02T09:55:30.120Z' };
const LOT10 = { ...LOT4, revision: 10, priority: 30 };
const HOLD3 = { ...hold(3, ENDS.hold3, [1, 25_000_000], [2, 15_500_000]), operation: 'chat' };
const HOLD6 = hold(6, ENDS.hold6, [2, 3_000_000]);
const HOLD9 = hold(9, ENDS.hold9, [4, 10_000_000], [2, 1_000_000]);
const HOLD11 = hold(11, '2026-11-02T09:51:30.120Z', [10, 1_500_000], [2, 500_000]);

const VERSION_1: { readonly [name: string]: Around } = {
  'AccountOpened.v1': { before: accountDecider.initialState, lots: [], holds: [] },
  'CreditsGranted.v1': { before: account([], []), lots: [lot(LOT1, 25_000_000)], holds: [] },
  'CreditsReserved.v1': {
    before: account([lot(LOT1, 25_000_000), lot(LOT2, 100_000_000)], [], { earned: 125_000_000 }),
    lots: [lot(LOT1, 0, 25_000_000), lot(LOT2, 84_500_000, 15_500_000)],
    holds: [HOLD3],
  },
  'CreditsConsumed.v1': {
    before: account([lot(LOT1, 0, 25_000_000), lot(LOT4, 10_000_000), lot(LOT2, 81_500_000, 18_500_000)], [HOLD3, HOLD6], {
      earned: 135_000_000,
    }),
    lots: [lot(LOT4, 10_000_000), lot(LOT2, 97_000_000, 3_000_000)],
    holds: [HOLD6],
  },
  'Expired.v1': {
    before: account(
      [lot(LOT4, 0, 10_000_000), lot(LOT10, 0, 1_500_000), lot(LOT2, 95_500_000, 4_500_000)],
      [HOLD6, HOLD9, HOLD11],
      { earned: 136_500_000, spent: 20_250_000 },
    ),
    lots: [lot(LOT4, 0, 10_000_000), lot(LOT2, 99_000_000, 1_000_000)],
    holds: [HOLD9],
  },
  'ReservationReleased.v1': {
    before: account([lot(LOT4, 0, 10_000_000), lot(LOT2, 99_000_000, 1_000_000)], [HOLD9], {
      earned: 136_500_000,
      spent: 20_250_000,
    }),
    lots: [lot(LOT2, 100_000_000)],
    holds: [],
  },
};

const LATER = '2026-12-01T09:00:00.000Z';
const PAST = { revision: 1, priority: 10, ends: '2026-11-21T09:00:00.000Z' };
const FROZEN = { revision: 5, priority: 50, ends: LATER, frozen: true } as const;
const THAWED = { revision: 5, priority: 50, ends: LATER };
const FREE: FreeUnits = { app: 'studio', operation: 'render', period: 'day', key: '2026-11-21', units: 2, remaining: 0 };
const USED_UP: FreeUnits = { app: 'studio', operation: 'image', period: 'month', key: '2026-11', units: 4, remaining: 0 };
const HOLD_ENDS = '2026-11-21T10:20:00.250Z';

const WITH_OPTIONS: { readonly [name: string]: Around } = {
  'AccountOpened.v2': { before: accountDecider.initialState, lots: [], holds: [] },
  'CreditsGranted.v2': {
    before: account([], [], { earned: 20_000_000, spent: 16_000_000, debt: 4_000_000 }),
    lots: [lot({ revision: 7, priority: 50, ends: LATER }, 21_000_000)],
    holds: [],
  },
  'CreditsReserved.v2': {
    before: account([lot(LOT2, 5_000_000)], [], { earned: 21_000_000, spent: 16_000_000 }),
    lots: [lot(LOT2, 0, 5_000_000)],
    holds: [
      {
        ...hold(9, HOLD_ENDS, [2, 5_000_000]),
        operation: 'render',
        uncovered: micro(4_000_000),
        price: { app: 'studio', operation: 'render', cost: micro(3_000_000), per: 1, quantity: 5, revision: 3 },
        free: FREE,
      },
    ],
    freeUsed: [FREE],
  },
  'CreditsConsumed.v2': {
    before: account(
      [lot(PAST, 0, 6_000_000), lot(FROZEN, 0, 4_000_000), lot(LOT2, 0, 5_000_000)],
      [hold(10, HOLD_ENDS, [1, 6_000_000], [5, 4_000_000], [2, 5_000_000])],
      { earned: 31_000_000, spent: 16_000_000, debt: 2_000_000, freeUsed: [FREE] },
    ),
    lots: [lot(FROZEN, 3_000_000), lot(LOT2, 3_000_000)],
    holds: [],
    // What the hold took stays taken.
    freeUsed: [FREE],
  },
  'ReservationReleased.v2': {
    before: account(
      [lot(PAST, 0, 1_000_000), lot(FROZEN, 0, 3_000_000), lot(LOT2, 0, 4_000_000)],
      [hold(10, HOLD_ENDS, [1, 1_000_000], [5, 3_000_000], [2, 4_000_000])],
      { earned: 30_000_000, spent: 20_000_000, debt: 1_500_000, freeUsed: [FREE] },
    ),
    lots: [lot(FROZEN, 3_000_000), lot(LOT2, 2_500_000)],
    holds: [],
    freeUsed: [{ ...FREE, units: 0 }],
  },
  'Expired.v2': {
    before: account(
      [lot(PAST, 0, 2_000_000), lot(FROZEN, 0, 3_000_000), lot(LOT2, 0, 4_000_000)],
      [hold(10, HOLD_ENDS, [5, 3_000_000], [2, 4_000_000], [1, 2_000_000])],
      { earned: 30_000_000, spent: 20_000_000, debt: 6_000_000 },
    ),
    lots: [lot(FROZEN, 3_000_000)],
    holds: [],
  },
};

const ABOUT_GRANTS: { readonly [name: string]: Around } = {
  'CreditsRefunded.v1': {
    before: account([lot({ ...LOT2, frozen: true }, 0)], [], {
      earned: 145_000_000,
      spent: 142_000_000,
      debt: 2_000_000,
      freeUsed: [{ ...FREE, operation: 'image', period: 'month', key: '2026-11', units: 4 }],
    }),
    lots: [
      lot({ revision: 15, priority: 20, ends: '2026-11-30T23:59:59.999Z' }, 1_000_000),
      lot({ revision: 27, priority: 50, ends: '2026-12-02T10:21:30.120Z' }, 5_000_000),
      lot({ ...LOT2, frozen: true }, 1_500_000),
    ],
    holds: [],
    freeUsed: [{ ...FREE, operation: 'image', period: 'month', key: '2026-11', units: 1 }],
  },
  'CreditsDebited.v1': {
    before: account([lot({ ...PAST, ends: null }, 6_000_000), lot(LOT2, 6_000_000)], [], { earned: 12_000_000 }),
    lots: [lot(LOT2, 2_000_000)],
    holds: [],
  },
  'GrantFrozen.v1': {
    before: account([lot(LOT2, 1_000_000)], [], { earned: 26_000_000, spent: 25_000_000 }),
    lots: [lot(FROZEN, 0), lot(LOT2, 1_000_000)],
    holds: [],
  },
  'GrantUnfrozen.v1': {
    before: account([lot({ ...FROZEN, ends: '2026-11-21T09:00:00.000Z' }, 20_000_000)], [], {
      earned: 25_000_000,
      spent: 5_000_000,
      debt: 5_000_000,
    }),
    lots: [lot({ ...THAWED, ends: '2026-12-21T12:00:00.250Z' }, 15_000_000)],
    holds: [],
  },
  'GrantRevoked.v1': {
    before: account([lot(FROZEN, 20_000_000)], [], { earned: 25_000_000, spent: 5_000_000, debt: 3_000_000 }),
    lots: [lot(THAWED, 7_000_000)],
    holds: [],
  },
};

const GIVEN_BACK: { readonly [name: string]: Around } = {
  'CreditsRefunded.v1': {
    before: account([lot({ ...LOT2, frozen: true }, 0)], [], {
      earned: 145_000_000,
      spent: 142_000_000,
      debt: 2_000_000,
      freeUsed: [USED_UP],
    }),
    lots: [
      lot({ revision: 15, priority: 20, ends: '2026-11-30T23:59:59.999Z' }, 1_000_000),
      lot({ revision: 27, priority: 50, ends: '2026-12-02T10:21:30.120Z' }, 5_000_000),
      lot({ ...LOT2, frozen: true }, 1_500_000),
    ],
    holds: [],
    freeUsed: [{ ...USED_UP, units: 1 }],
  },
};

const AROUND = { ...VERSION_1, ...WITH_OPTIONS, ...ABOUT_GRANTS, ...GIVEN_BACK };
const NAMES = fixtureNames().filter((name) => Object.hasOwn(accountSchemas, name.split('.')[0] ?? ''));

test.each(NAMES)('%s still evolves an account as it did', (name) => {
  const event = readAccountEvent(eventFixture(name));
  const around = AROUND[name];
  if (around === undefined) throw new Error(`say what ${name} does to an account`);
  const after = evolve(around.before, event);
  expectSound(event, balancesOf(around.before), after);
  const { lots, holds, freeUsed = [] } = around;
  expect(after).toEqual({
    status: 'open',
    revision: event.revision,
    balances: event.data.after,
    lots,
    holds,
    freeUsed,
    signedUp: false,
  });
});
