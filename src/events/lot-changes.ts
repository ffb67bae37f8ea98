import type { AccountEvent, LotAmounts } from './account-events.ts';
import { micro, type Micro } from './amounts.ts';

/** Amounts of lots, and whether each is added to (1) or taken from (-1) what can be spent and what is held of its lot. */
export type LotChange = readonly [amounts: LotAmounts, available: -1 | 0 | 1, held: -1 | 0 | 1];

/** What an event says about lots: everything but how it looks with its balances. */
type AboutLots = { [Type in AccountEvent['type']]: { readonly type: Type; readonly data: DataOf<Type> } }[AccountEvent['type']];
type DataOf<Type> = Omit<Extract<AccountEvent, { type: Type }>['data'], 'after'>;

const NONE: readonly LotChange[] = [];

/** What an event does to lots that were there before it. The order of the changes says nothing: they add up. */
export function lotChanges(event: AboutLots): readonly LotChange[] {
  switch (event.type) {
    case 'AccountOpened':
    case 'CreditsGranted':
      return NONE;
    case 'CreditsReserved':
      return [[event.data.lots, -1, 1]];
    case 'CreditsConsumed': {
      const { reservation, fromHold, fromAvailable, returned, lapsed } = event.data;
      if (reservation === null) return [[fromAvailable, -1, 0]];
      return [
        [fromHold, 0, -1],
        [fromAvailable, -1, 0],
        [returned, 1, -1],
        [lapsed, 0, -1],
      ];
    }
    case 'ReservationReleased':
      return [
        [event.data.returned, 1, -1],
        [event.data.lapsed, 0, -1],
      ];
    case 'Expired':
      return [
        [event.data.returned, 1, -1],
        [event.data.lots, -1, 0],
      ];
    default:
      return event satisfies never;
  }
}

/** By how much an event changed what can be spent, in micro-credits. */
export function availableChange(event: AboutLots): Micro {
  let change = event.type === 'CreditsGranted' ? (event.data.amount as number) : 0;
  for (const [amounts, available] of lotChanges(event)) {
    if (available !== 0) for (const [, amount] of amounts) change += amount * available;
  }
  return micro(change);
}
