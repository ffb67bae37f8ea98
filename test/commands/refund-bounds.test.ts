import { describe, expect, test } from 'vitest';
import { type Account, MAX_LOTS } from '../../src/commands/account.ts';
import type { Facts } from '../../src/commands/decider.ts';
import type { Lot } from '../../src/commands/lots.ts';
import { decideRefundConsumption } from '../../src/commands/refund-consumption.ts';
import type { AccountEvent, AccountEventOf } from '../../src/events/account-events.ts';
import { MAX_TOTAL, micro, ZERO } from '../../src/events/amounts.ts';
import type { Recorded } from '../../src/events/event-types.ts';
import { credits, iso, refund, START } from '../support/account-samples.ts';

describe('bounds of a refund', () => {
  const ending = (data: Partial<AccountEventOf<'CreditsGranted'>['data']>) =>
    ({
      type: 'CreditsGranted',
      data: { priority: 50, expiresAt: iso(START), source: 'promo', ...data },
    }) as Recorded<AccountEvent>;
  const events = (grant: Recorded<AccountEvent>) => [
    grant,
    {
      type: 'CreditsConsumed',
      data: { amount: credits(1), fromHold: [], fromAvailable: [[0, credits(1)]], operation: null, appId: null },
      metadata: { actor: { kind: 'service', app: 'writer', key: 'k' } },
    } as unknown as Recorded<AccountEvent>,
  ];
  const lots = Array.from({ length: MAX_LOTS }, (_, index): Lot => {
    return { revision: index + 2, free: micro(1), held: ZERO, frozen: false, priority: 50, expiresAt: null };
  });
  const balances = {
    available: micro(MAX_LOTS),
    debt: ZERO,
    dueAt: null,
    earned: credits(9),
    frozen: ZERO,
    reserved: ZERO,
    spent: credits(1),
  };
  const full: Account = { status: 'open', revision: MAX_LOTS + 1, balances, lots, holds: [], freeUsed: [], signedUp: false };

  function decided(account: Account, grant: Recorded<AccountEvent>, now = START) {
    const facts: Facts<AccountEvent> = {
      claimed: () => undefined,
      standing: (revision) => {
        const event = events(grant)[revision];
        return event && { event, last: undefined };
      },
    };
    return decideRefundConsumption(refund(1, credits(1)), account, facts, {
      now,
      stream: 'account-u1',
      actor: { kind: 'service', app: 'writer', key: 'k' },
      app: 'writer',
      revision: MAX_LOTS + 2,
    });
  }
  const tooMany = { kind: 'reject', rejection: { code: 'limit_exceeded', limit: 'openLots', maximum: MAX_LOTS } };

  test('refuses one lot too many, fresh or opened again, where nobody paid for it', () => {
    expect(decided(full, ending({}))).toEqual(tooMany);
    expect(decided(full, ending({ expiresAt: null }))).toEqual(tooMany);
    expect(decided({ ...full, lots: lots.slice(1) }, ending({}))).toMatchObject({ kind: 'append' });
  });

  test('never refuses what somebody paid for, nor what goes back to a lot that is open', () => {
    expect(decided(full, ending({ source: 'purchase' }))).toMatchObject({ kind: 'append' });
    expect(decided(full, ending({ paidCents: 99 }))).toMatchObject({ kind: 'append' });
    expect(decided(full, ending({ source: 'purchase', expiresAt: null }))).toMatchObject({ kind: 'append' });
    // Paid ones may be more than the bound already.
    const standing = [{ ...lots[0], revision: 0 } as Lot, ...lots];
    expect(decided({ ...full, lots: standing }, ending({ expiresAt: null }))).toMatchObject({ kind: 'append' });
  });

  test.each(['available', 'frozen', 'reserved'] as const)(
    'refuses what would lift the balance above the bound: %s counts',
    (part) => {
      const account = (amount: number): Account => ({
        ...full,
        balances: { ...balances, available: ZERO, [part]: micro(amount) },
        lots: [],
      });
      const tooHigh = { kind: 'reject', rejection: { code: 'limit_exceeded', limit: 'balance', maximum: MAX_TOTAL } };
      expect(decided(account(MAX_TOTAL - 999_999), ending({}))).toEqual(tooHigh);
      expect(decided(account(MAX_TOTAL - 1_000_000), ending({}))).toMatchObject({ kind: 'append' });
    },
  );
});
