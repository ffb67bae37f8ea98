import type { AccountEvent, AccountEventOf, GrantSource } from '../events/account-events.ts';
import { type Micro, ZERO } from '../events/amounts.ts';
import type { Recorded } from '../events/event-types.ts';
import type { Decision, Facts } from './decider.ts';

type AboutGrant = Recorded<AccountEventOf<'GrantFrozen' | 'GrantUnfrozen' | 'GrantRevoked'>>;

/** What the log says of a grant. State knows only what is left of its lot. */
export type GrantStanding = {
  /** What it gave, in micro-credits. */
  readonly granted: Micro;
  /** What of that was revoked so far. */
  readonly revoked: Micro;
  readonly priority: number;
  /** Its end as it is now, as events hold it. */
  readonly expiresAt: string | null;
  readonly source: GrantSource;
  /** The last event about it. */
  readonly last: AboutGrant | undefined;
};

/** How the grant made at a revision stands, from the facts; undefined where that event gave no lot. */
export function standingOfGrant(grant: number, facts: Facts<AccountEvent>): GrantStanding | undefined {
  const standing = facts.standing(grant);
  const made = standing && madeBy(standing.event);
  if (made === undefined) return undefined;
  const last = standing?.last;
  if (last === undefined) return { ...made, revoked: ZERO, last };
  if (last.type === 'GrantFrozen' || last.type === 'GrantUnfrozen' || last.type === 'GrantRevoked') {
    return { ...made, revoked: last.data.revoked, expiresAt: last.data.expiresAt, last };
  }
  // Whatever else may one day be about a grant: without knowing what it leaves, nothing is decided.
  throw new Error(`${last.type} about a grant`);
}

function madeBy(event: Recorded<AccountEvent>): Pick<GrantStanding, 'granted' | 'priority' | 'expiresAt' | 'source'> | undefined {
  if (event.type === 'CreditsGranted') {
    const { amount, priority, expiresAt, source } = event.data;
    return { granted: amount, priority, expiresAt, source };
  }
  if (event.type !== 'CreditsRefunded' || event.data.fresh === undefined) return undefined;
  const { amount, priority, expiresAt } = event.data.fresh;
  // A fresh lot may stand for parts of several grants: no one source gets it back.
  return { granted: amount, priority, expiresAt, source: 'adjustment' };
}

/** Nothing to write: the last event about a grant tells how it stands. */
export function unchangedGrant({ last }: GrantStanding): Decision<AccountEvent> {
  return { kind: 'unchanged', ...(last && { event: last }) };
}
