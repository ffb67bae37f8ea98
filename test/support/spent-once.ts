import { expect } from 'vitest';
import type { AccountEvent, LotAmounts } from '../../src/events/account-events.ts';
import type { Recorded } from '../../src/events/event-types.ts';

/**
 * Follows every credit of a stream from its grant: what was consumed, ran out and is left of a grant is what was
 * granted, and every hold was settled once.
 */
export function expectSpentOnce(
  events: readonly Recorded<AccountEvent>[],
  left: readonly { readonly revision: number; readonly free: number; readonly held: number }[],
): void {
  const open = new Map<number, number>();
  const leave = (lots: LotAmounts) => {
    for (const [revision, amount] of lots) open.set(revision, (open.get(revision) ?? Number.NaN) - amount);
  };
  const settled: number[] = [];
  for (const event of events) {
    if (event.type === 'CreditsGranted') open.set(event.revision, event.data.amount);
    if (event.type === 'CreditsConsumed') {
      leave([...event.data.fromHold, ...event.data.fromAvailable, ...event.data.lapsed]);
      if (event.data.reservation !== null) settled.push(event.data.reservation);
    }
    if (event.type === 'ReservationReleased') {
      leave(event.data.lapsed);
      settled.push(event.data.reservation);
    }
    if (event.type === 'Expired') leave(event.data.lots);
  }
  const remaining = [...open].filter(([, amount]) => amount !== 0);
  expect(remaining.sort(byRevision)).toEqual(
    left.map((lot): [number, number] => [lot.revision, lot.free + lot.held]).sort(byRevision),
  );
  expect(new Set(settled).size).toBe(settled.length);
}

function byRevision([a]: readonly [number, number], [b]: readonly [number, number]): number {
  return a - b;
}
