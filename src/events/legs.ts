import { type Micro, micro, plus, ZERO } from './amounts.ts';
import type { LotAmounts } from './account-events.ts';
import { appOf } from './metadata.ts';
import type { Recorded } from './event-types.ts';

/** One leg of a double entry: what an account of the ledger gains (or loses, where negative), in micro-credits. */
export type Leg = { readonly account: string; readonly amount: Micro };

/** The sum of some lots. */
export function sumOfLots(lots: LotAmounts): Micro {
  let sum = ZERO;
  for (const [, amount] of lots) sum = plus(sum, amount);
  return sum;
}

/**
 * The double-entry legs of an event, from the event alone. They sum to zero, so the accounts of the whole ledger do
 * after every event. Accounts: `available:{stream}` and `reserved:{stream}`, which the balances after the event must
 * agree with; `source:{source}`, where credits come from; `consumed:{app}` and `expired`, where they go.
 */
export function legsOf(event: Recorded): readonly Leg[] {
  const available = `available:${event.stream}`;
  const reserved = `reserved:${event.stream}`;
  switch (event.type) {
    case 'AccountOpened':
      return [];
    case 'CreditsGranted':
      return legs([`source:${event.data.source}`, -event.data.amount], [available, event.data.amount]);
    case 'CreditsReserved':
      return legs([available, -event.data.amount], [reserved, event.data.amount]);
    case 'CreditsConsumed': {
      const returned = sumOfLots(event.data.returned);
      const lapsed = sumOfLots(event.data.lapsed);
      return legs(
        [reserved, -(sumOfLots(event.data.fromHold) + returned + lapsed)],
        [available, returned - sumOfLots(event.data.fromAvailable)],
        [`consumed:${appOf(event.metadata.actor)}`, event.data.amount],
        ['expired', lapsed],
      );
    }
    case 'ReservationReleased':
      return legs(
        [reserved, -event.data.amount],
        [available, sumOfLots(event.data.returned)],
        ['expired', sumOfLots(event.data.lapsed)],
      );
    case 'Expired': {
      const holds = sumOfLots(event.data.holds);
      const lots = sumOfLots(event.data.lots);
      return legs([reserved, -holds], [available, holds - lots], ['expired', lots]);
    }
    default:
      return event satisfies never;
  }
}

function legs(...pairs: readonly (readonly [account: string, amount: number])[]): readonly Leg[] {
  return pairs.filter(([, amount]) => amount !== 0).map(([account, amount]) => ({ account, amount: micro(amount) }));
}
