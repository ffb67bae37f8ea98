import type { AccountEvent, LotAmounts } from './account-events.ts';
import { type Micro, minus, plus, ZERO } from './amounts.ts';

/** Amounts of lots, and whether each is added to (1) or taken from (-1) what is free and what is held of its lot. */
export type LotChange = readonly [amounts: LotAmounts, free: -1 | 0 | 1, held: -1 | 0 | 1];

/** What an event says about lots: everything but how it looks with its balances. */
export type AboutLots = {
  [Type in AccountEvent['type']]: { readonly type: Type; readonly data: DataOf<Type> };
}[AccountEvent['type']];
type DataOf<Type> = Omit<Extract<AccountEvent, { type: Type }>['data'], 'after'>;

const NONE: LotAmounts = [];

/** The sum of some lots. */
export function sumOfLots(lots: LotAmounts): Micro {
  let sum = ZERO;
  for (const [, amount] of lots) sum = plus(sum, amount);
  return sum;
}

/** What an event does to lots, those that it makes itself included. The order says nothing: the changes add up. */
export function lotChanges(event: AboutLots): readonly LotChange[] {
  switch (event.type) {
    case 'AccountOpened':
    case 'GrantFrozen':
      return [];
    case 'CreditsGranted':
    case 'GrantUnfrozen':
      return paying(event.data.debtPaid);
    case 'CreditsReserved':
      return [[event.data.lots, -1, 1]];
    case 'CreditsConsumed': {
      const { reservation, fromHold, fromAvailable, lapsed } = event.data;
      if (reservation === null) return [[fromAvailable, -1, 0]];
      return [[fromHold, 0, -1], [fromAvailable, -1, 0], [lapsed, 0, -1], ...freeing(event.data)];
    }
    case 'ReservationReleased':
      return [[event.data.lapsed, 0, -1], ...freeing(event.data)];
    case 'Expired':
      return [[event.data.lots, -1, 0], ...freeing(event.data)];
    case 'CreditsRefunded': {
      const { restored, toFrozen = NONE, debtPaid } = event.data;
      return [[restored, 1, 0], [toFrozen, 1, 0], ...paying(debtPaid)];
    }
    case 'CreditsDebited':
      return [[event.data.lots, -1, 0]];
    case 'GrantRevoked': {
      const { grant, fromFrozen, fromAvailable, debtPaid } = event.data;
      return [[fromFrozen > 0 ? [[grant, fromFrozen]] : NONE, -1, 0], [fromAvailable, -1, 0], ...paying(debtPaid)];
    }
    default:
      return event satisfies never;
  }
}

type Freeing = {
  readonly returned: LotAmounts;
  readonly toFrozen?: LotAmounts | undefined;
  readonly debtPaid?: LotAmounts | undefined;
};

/** What a hold's end gives back. */
function freeing({ returned, toFrozen = NONE, debtPaid }: Freeing): readonly LotChange[] {
  return [[returned, 1, -1], [toFrozen, 1, -1], ...paying(debtPaid)];
}

function paying(debtPaid: LotAmounts | undefined): readonly LotChange[] {
  return debtPaid === undefined ? [] : [[debtPaid, -1, 0]];
}

/** By how much an event changed what can be spent, in micro-credits. */
export function availableChange(event: AboutLots): Micro {
  const paid = 'debtPaid' in event.data ? sumOfLots(event.data.debtPaid ?? NONE) : ZERO;
  switch (event.type) {
    case 'AccountOpened':
      return ZERO;
    case 'CreditsGranted':
    case 'GrantUnfrozen':
      return minus(event.data.amount, paid);
    case 'CreditsReserved':
    case 'CreditsDebited':
    case 'GrantFrozen':
      return minus(ZERO, event.data.amount);
    case 'CreditsConsumed':
      return minus(minus(sumOfLots(event.data.returned), sumOfLots(event.data.fromAvailable)), paid);
    case 'ReservationReleased':
      return minus(sumOfLots(event.data.returned), paid);
    case 'Expired':
      return minus(minus(sumOfLots(event.data.returned), sumOfLots(event.data.lots)), paid);
    case 'CreditsRefunded':
      return minus(plus(sumOfLots(event.data.restored), event.data.fresh?.amount ?? ZERO), paid);
    case 'GrantRevoked':
      return minus(minus(event.data.unfrozen ?? ZERO, sumOfLots(event.data.fromAvailable)), paid);
    default:
      return event satisfies never;
  }
}
