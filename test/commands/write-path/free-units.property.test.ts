import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AccountCommand } from '../../../src/commands/account-decider.ts';
import type { PricedUse } from '../../../src/commands/price.ts';
import type { AccountEvent } from '../../../src/events/account-events.ts';
import type { Recorded } from '../../../src/events/event-types.ts';
import { credits, grant, START } from '../../support/account-samples.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { historyOf, openWritePath, type WritePath } from '../../support/write-path.ts';

/*
 * Free uses are never more than the allowance, whatever is used, held, released and refunded, through two processes at
 * once: counted from the log alone.
 */

const ALLOWED = 7;
const IMAGE: PricedUse = {
  app: 'picture',
  operation: 'image',
  cost: credits(2),
  per: 1,
  quantity: 1,
  revision: 0,
  free: { uses: ALLOWED, period: 'lifetime' },
};

let database: TestDatabase;
let paths: readonly [WritePath, WritePath];
let users = 0;

beforeAll(async () => {
  database = await createTestDatabase();
  paths = [await openWritePath(database.url), await openWritePath(database.url)];
});

afterAll(async () => {
  for (const path of paths ?? []) await path.close();
  await database?.close();
});

type Step = { readonly kind: 'use' | 'reserve' | 'settle' | 'refund'; readonly quantity: number; readonly pick: number };

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom<Step['kind']>('use', 'use', 'reserve', 'reserve', 'settle', 'settle', 'refund'),
    quantity: fc.integer({ min: 1, max: 3 }),
    pick: fc.nat(1_000),
  }),
  { minLength: 5, maxLength: 40 },
);

/** A command on what the log holds by now; undefined where it holds nothing of the kind. */
function commandOf({ kind, quantity, pick }: Step, events: readonly Recorded<AccountEvent>[]): AccountCommand | undefined {
  const asked = { ...IMAGE, quantity };
  const named = { operation: 'image', appId: null, personal: null };
  const revisionsOf = (type: AccountEvent['type']) =>
    events.filter((event) => event.type === type).map(({ revision }) => revision);
  const one = (revisions: readonly number[]) => revisions[pick % Math.max(revisions.length, 1)];
  switch (kind) {
    case 'use':
      return { type: 'UseCredits', amount: asked, ...named };
    case 'reserve':
      return { type: 'ReserveCredits', amount: asked, ttl: START, ...named };
    case 'settle': {
      const reservation = one(revisionsOf('CreditsReserved'));
      if (reservation === undefined) return undefined;
      if (pick % 2 === 0) return { type: 'ReleaseReservation', reservation, personal: null };
      return { type: 'CommitReservation', reservation, amount: null, onExpired: 'available', personal: null };
    }
    case 'refund': {
      const consumption = one(revisionsOf('CreditsConsumed'));
      const event = consumption === undefined ? undefined : events[consumption];
      if (event?.type !== 'CreditsConsumed') return undefined;
      const { amount } = event.data;
      return { type: 'RefundConsumption', consumption: event.revision, amount, appId: null, personal: null };
    }
    default:
      return kind satisfies never;
  }
}

/** What was free at once, event by event: never above the allowance, never below nothing. */
function expectWithinAllowance(events: readonly Recorded<AccountEvent>[]): number {
  let taken = 0;
  let most = 0;
  for (const event of events) {
    if (event.type === 'CreditsReserved' || (event.type === 'CreditsConsumed' && event.data.reservation === null)) {
      taken += event.data.free?.units ?? 0;
    }
    if (event.type === 'ReservationReleased' || event.type === 'CreditsRefunded') taken -= event.data.free?.units ?? 0;
    expect(taken).toBeGreaterThanOrEqual(0);
    expect(taken).toBeLessThanOrEqual(ALLOWED);
    most = Math.max(most, taken);
  }
  return most;
}

test('free uses are never more than the allowance, through two processes at once', async () => {
  let fullest = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (run) => {
      users += 1;
      const user = `free-${users}`;
      await paths[0].run(user, grant({ amount: credits(1_000) }));
      for (let at = 0; at < run.length; at += 4) {
        const events = await historyOf(paths[0].store, user);
        const commands = run.slice(at, at + 4).flatMap((step) => commandOf(step, events) ?? []);
        await Promise.all(commands.map((command, index) => (paths[index % 2] as WritePath).run(user, command)));
      }
      fullest = Math.max(fullest, expectWithinAllowance(await historyOf(paths[0].store, user)));
    }),
    { numRuns: 40 },
  );
  // Otherwise the bound was never met, and nothing was shown.
  expect(fullest).toBe(ALLOWED);
}, 120_000);
