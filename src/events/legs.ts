import type { AccountEvent } from './account-events.ts';
import { type Micro, micro, ZERO } from './amounts.ts';
import { appOf } from './metadata.ts';
import { isAccountEvent, type Recorded } from './event-types.ts';
import { availableChange, sumOfLots } from './lot-changes.ts';

/** One leg of a double entry: what an account of the ledger gains (or loses, where negative), in micro-credits. */
export type Leg = { readonly account: string; readonly amount: Micro };

/**
 * The double-entry legs of an event, from the event alone. They sum to zero, so the accounts of the whole ledger do
 * after every event. Accounts of a stream, which the balances after the event must agree with: `available`, `reserved`,
 * `frozen`, and `debt`, which is negative; each as `{name}:{stream}`. Where credits come from: `source:{source}`. Where
 * they go: `consumed:{app}`, `expired`, `debited:{reason}`.
 */
export function legsOf(event: Recorded): readonly Leg[] {
  if (!isAccountEvent(event)) return [];
  const paid = 'debtPaid' in event.data ? sumOfLots(event.data.debtPaid ?? []) : ZERO;
  return legs(
    [`available:${event.stream}`, availableChange(event)],
    [`debt:${event.stream}`, event.type === 'GrantRevoked' ? paid - event.data.debt : paid],
    ...othersOf(event),
  );
}

type Pair = readonly [account: string, amount: number];

/** The legs beside what can be spent and what is owed. */
function othersOf(event: Recorded<AccountEvent>): readonly Pair[] {
  const reserved = `reserved:${event.stream}`;
  const frozen = `frozen:${event.stream}`;
  const refrozen = 'toFrozen' in event.data ? sumOfLots(event.data.toFrozen ?? []) : ZERO;
  switch (event.type) {
    case 'AccountOpened':
      return [];
    case 'CreditsGranted':
      return [[`source:${event.data.source}`, -event.data.amount]];
    case 'CreditsReserved':
      return [[reserved, event.data.amount]];
    case 'CreditsConsumed': {
      const { fromHold, returned, lapsed, amount } = event.data;
      return [
        [reserved, -(sumOfLots(fromHold) + sumOfLots(returned) + sumOfLots(lapsed) + refrozen)],
        [frozen, refrozen],
        [`consumed:${appOf(event.metadata.actor)}`, amount],
        ['expired', sumOfLots(lapsed)],
      ];
    }
    case 'ReservationReleased':
      return [
        [reserved, -event.data.amount],
        [frozen, refrozen],
        ['expired', sumOfLots(event.data.lapsed)],
      ];
    case 'Expired':
      return [
        [reserved, -sumOfLots(event.data.holds)],
        [frozen, refrozen],
        ['expired', sumOfLots(event.data.lots)],
      ];
    case 'CreditsRefunded':
      return [
        [`consumed:${event.data.app}`, -event.data.amount],
        [frozen, refrozen],
      ];
    case 'CreditsDebited':
      return [[`debited:${event.data.reason}`, event.data.amount]];
    case 'GrantFrozen':
      return [[frozen, event.data.amount]];
    case 'GrantUnfrozen':
      return [[frozen, -event.data.amount]];
    case 'GrantRevoked':
      return [
        [frozen, -(event.data.fromFrozen + (event.data.unfrozen ?? 0))],
        [`source:${event.data.source}`, event.data.amount],
      ];
    default:
      return event satisfies never;
  }
}

function legs(...pairs: readonly Pair[]): readonly Leg[] {
  return pairs.filter(([, amount]) => amount !== 0).map(([account, amount]) => ({ account, amount: micro(amount) }));
}
