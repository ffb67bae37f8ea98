import type { FreeUnits } from '../events/account-events.ts';
import type { AboutLots } from '../events/lot-changes.ts';

/** An operation's allowance, in one period. */
type Period = Pick<FreeUnits, 'app' | 'operation' | 'period' | 'key'>;

/** What of a free allowance was used in a period, in units. */
export function usedIn(freeUsed: readonly FreeUnits[], what: Period): number {
  const used = freeUsed.find((one) => isSame(one, what));
  return used === undefined || used.key !== what.key ? 0 : used.units;
}

/** What was used of free allowances after an event. A use that comes back counts for the period it was taken in. */
export function freeUsedAfter(freeUsed: readonly FreeUnits[], event: AboutLots): readonly FreeUnits[] {
  switch (event.type) {
    case 'CreditsReserved':
      return taken(freeUsed, event.data.free);
    case 'CreditsConsumed':
      // What a hold took stays taken when it is settled.
      return event.data.reservation === null ? taken(freeUsed, event.data.free) : freeUsed;
    case 'ReservationReleased':
    case 'CreditsRefunded':
      return givenBack(freeUsed, event.data.free);
    case 'AccountOpened':
    case 'CreditsGranted':
    case 'Expired':
    case 'CreditsDebited':
    case 'GrantFrozen':
    case 'GrantUnfrozen':
    case 'GrantRevoked':
      return freeUsed;
    default:
      return event satisfies never;
  }
}

function taken(freeUsed: readonly FreeUnits[], free: FreeUnits | undefined): readonly FreeUnits[] {
  if (free === undefined || free.units === 0) return freeUsed;
  const others = freeUsed.filter((one) => !isSame(one, free) && !isOver(one, free));
  return [...others, { ...free, units: usedIn(freeUsed, free) + free.units }];
}

function givenBack(freeUsed: readonly FreeUnits[], free: FreeUnits | undefined): readonly FreeUnits[] {
  if (free === undefined) return freeUsed;
  // In a period that is over, nobody asks any more.
  return freeUsed.map((one) =>
    isSame(one, free) && one.key === free.key ? { ...one, units: Math.max(one.units - free.units, 0) } : one,
  );
}

/** Whether a period lies before another of its kind: time never goes back within an account. */
export function isOver(one: Period, now: Period): boolean {
  return one.period === now.period && one.key < now.key;
}

function isSame(a: Period, b: Period): boolean {
  return a.app === b.app && a.operation === b.operation && a.period === b.period;
}
