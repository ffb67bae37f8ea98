import type { AccountEvent, AccountEventOf, LotAmounts } from '../events/account-events.ts';
import { type Micro, minus, plus, ZERO } from '../events/amounts.ts';
import { sumOfLots } from '../events/lot-changes.ts';
import type { Account } from './account.ts';
import { tooHigh, withBalances, withinTotal } from './balances.ts';
import { type Context, type Decision, type Facts, reject } from './decider.ts';
import { alreadyResolved, standingOf } from './holds.ts';
import { cover, settle } from './lots.ts';

/** Captures a hold: takes what the work really cost. Less than was held, and the rest is released; or more. */
export type CommitReservation = {
  readonly type: 'CommitReservation';
  /** The revision of the hold. */
  readonly reservation: number;
  /** Micro-credits; null for all that was held. */
  readonly amount: Micro | null;
  /** What to do where the hold has run out: take from what is available, or refuse. */
  readonly onExpired: 'available' | 'refuse';
  /** An app that is only observed is never refused: what isn't covered is recorded, and nobody pays it. */
  readonly observed?: boolean;
  /** The same for holds with these labels, where the label says for which app the hold was made. */
  readonly observedLabels?: readonly string[];
  readonly personal: string | null;
};

/**
 * Refuses what isn't covered (the hold stands), a hold that is settled (the same amount again repeats the first
 * answer), one of another app, and one that has run out where the caller asked for that.
 */
export function decideCommitReservation(
  command: CommitReservation,
  account: Account,
  facts: Facts<AccountEvent>,
  context: Context,
): Decision<AccountEvent> {
  const standing = standingOf(command.reservation, account, facts, context);
  switch (standing.status) {
    case 'refused':
      return reject(standing.rejection);
    case 'settled': {
      const { by } = standing;
      const original = facts.standing(command.reservation)?.event;
      const asked = command.amount ?? (original?.type === 'CreditsReserved' ? inAll(original.data) : null);
      return by.type === 'CreditsConsumed' && inAll(by.data) === asked
        ? { kind: 'repeat', event: by }
        : reject(alreadyResolved(by));
    }
    case 'expired': {
      if (command.onExpired === 'refuse') return reject({ code: 'reservation_expired' });
      return capture(command, account, { ...standing.reserved.data, held: ZERO, lots: [] }, context);
    }
    case 'open':
      return capture(command, account, { ...standing.hold, held: standing.hold.amount }, context);
    default:
      return standing satisfies never;
  }
}

/** What a hold was made for, and what it still keeps. */
type Held = Pick<AccountEventOf<'CreditsReserved'>['data'], 'amount' | 'operation' | 'appId' | 'uncovered' | 'price' | 'free'> & {
  readonly held: Micro;
  readonly lots: LotAmounts;
};

/** What was asked for: what was covered, and what an app that is only observed was not refused. */
function inAll({ amount, uncovered = ZERO }: Pick<Held, 'amount' | 'uncovered'>): Micro {
  return plus(amount, uncovered);
}

function isObserved({ observed = false, observedLabels }: CommitReservation, { appId }: Held): boolean {
  return appId === null || observedLabels === undefined ? observed : observedLabels.includes(appId);
}

function capture(command: CommitReservation, account: Account, hold: Held, { now }: Context): Decision<AccountEvent> {
  if (account.status === 'unopened') return reject({ code: 'reservation_not_found' });
  const asked = command.amount ?? inAll(hold);
  const { fromHold, returned, toFrozen, lapsed } = settle(account.lots, hold.lots, asked, now);
  const excess = minus(asked, sumOfLots(fromHold));
  const { available, spent } = account.balances;
  const short = excess > available ? minus(excess, available) : ZERO;
  // What wasn't covered when it was held need not be covered now.
  if (short > (isObserved(command, hold) ? short : (hold.uncovered ?? ZERO))) {
    return reject({
      code: 'insufficient_credits',
      required: asked,
      available: plus(available, hold.held),
      operation: hold.operation,
    });
  }
  const amount = minus(asked, short);
  if (!withinTotal(spent, amount)) return tooHigh('totalSpent');
  const consumed = withBalances(
    account,
    {
      type: 'CreditsConsumed',
      data: {
        amount,
        appId: hold.appId,
        free: hold.free,
        fromAvailable: cover(account.lots, minus(excess, short)),
        fromHold,
        lapsed,
        operation: hold.operation,
        personal: command.personal,
        price: hold.price,
        reservation: command.reservation,
        returned,
        toFrozen,
        uncovered: short > 0 ? short : undefined,
      },
    },
    { about: [command.reservation] },
  );
  return { kind: 'append', events: [consumed] };
}
