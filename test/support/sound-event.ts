import { expect } from 'vitest';
import type { Account } from '../../src/commands/account.ts';
import type { AccountEvent, Balances } from '../../src/events/account-events.ts';
import { legsOf } from '../../src/events/legs.ts';
import type { Recorded } from '../../src/events/event-types.ts';

/**
 * Holds an event against what must be true of every one: its legs sum to zero and explain the balances after it, no
 * balance is negative, and the lots and holds of the account behind it add up to them and to the next due time.
 */
export function expectSound(event: Recorded<AccountEvent>, before: Balances, account: Account): void {
  const { after } = event.data;
  const moved = new Map<string, number>();
  for (const { account: name, amount } of legsOf(event)) moved.set(name, (moved.get(name) ?? 0) + amount);
  expect(sum([...moved.values()])).toBe(0);
  expect(before.available + (moved.get(`available:${event.stream}`) ?? 0)).toBe(after.available);
  expect(before.reserved + (moved.get(`reserved:${event.stream}`) ?? 0)).toBe(after.reserved);
  expect(before.frozen + (moved.get(`frozen:${event.stream}`) ?? 0)).toBe(after.frozen);
  expect(before.debt - (moved.get(`debt:${event.stream}`) ?? 0)).toBe(after.debt);
  const { available, reserved, frozen, debt, earned, spent } = after;
  expect(Math.min(available, reserved, frozen, debt, earned, spent)).toBeGreaterThanOrEqual(0);
  // Whoever owes has nothing to spend.
  if (debt > 0) expect(available).toBe(0);

  if (account.status === 'unopened') throw new Error('an event leaves an open account');
  const { lots, holds } = account;
  expect(account.balances).toEqual(after);
  expect(sum(lots.filter((lot) => !lot.frozen).map(({ free }) => free))).toBe(after.available);
  expect(sum(lots.filter((lot) => lot.frozen).map(({ free }) => free))).toBe(after.frozen);
  expect(sum(lots.map(({ held }) => held))).toBe(after.reserved);
  expect(sum(holds.map(({ amount }) => amount))).toBe(after.reserved);
  expect(lots.filter(({ free, held }) => Math.min(free, held) < 0)).toEqual([]);
  // What is empty is let go, unless it is frozen; the others stand in the order in which they are spent.
  expect(lots.filter(({ free, held, frozen: isFrozen }) => free + held === 0 && !isFrozen)).toEqual([]);
  const order = lots.map((lot) => [lot.priority, lot.expiresAt ?? Number.POSITIVE_INFINITY, lot.revision] as const);
  expect(order).toEqual([...order].sort((a, b) => a[0] - b[0] || (a[1] === b[1] ? a[2] - b[2] : a[1] - b[1])));
  const due = [
    ...holds.map(({ expiresAt }) => expiresAt),
    ...lots.flatMap((lot) => (lot.free > 0 && !lot.frozen ? (lot.expiresAt ?? []) : [])),
  ];
  expect(after.dueAt).toBe(due.length === 0 ? null : new Date(Math.min(...due)).toISOString());
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}
