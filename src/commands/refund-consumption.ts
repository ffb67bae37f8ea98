import type { AccountEvent, AccountEventOf, LotAmounts } from '../events/account-events.ts';
import { least, type Micro, minus, plus, ZERO } from '../events/amounts.ts';
import { sumOfLots } from '../events/lot-changes.ts';
import { appOf } from '../events/metadata.ts';
import type { Recorded } from '../events/event-types.ts';
import { type Account, MAX_LOTS, type OpenAccount } from './account.ts';
import { tooHigh, withBalances, withinTotal } from './balances.ts';
import { type Context, type Decision, type Facts, reject } from './decider.ts';
import { standingOfGrant } from './grant-standing.ts';
import { FRESH_FOR, hasEnded, sumByLot } from './lots.ts';

/** Gives back what a consumption took, wholly or in part: the work that it paid for failed. */
export type RefundConsumption = {
  readonly type: 'RefundConsumption';
  /** The revision of the consumption: of a use, or of a commit. */
  readonly consumption: number;
  /** Micro-credits. Zero only where free units come back with it. */
  readonly amount: Micro;
  readonly appId: string | null;
  readonly personal: string | null;
};

/** When what came back of what has ended or was revoked meanwhile is spent. */
const FRESH_PRIORITY = 50;

/** A consumption, and what of it came back so far, in micro-credits; undefined where none was ever refunded. */
type Refundable = {
  readonly consumed: Recorded<AccountEventOf<'CreditsConsumed'>>;
  readonly refunded: Micro | undefined;
};

/**
 * The revisions that a refund needs as facts: its consumption's; once that is known, those of the lots it was taken
 * from. Also where the state holds such a lot, since it doesn't tell whether the grant was revoked.
 */
export function missingForRefund({ consumption }: RefundConsumption, facts: Facts<AccountEvent>): readonly number[] {
  const refundable = refundableOf(consumption, facts);
  if (refundable === undefined) return [consumption];
  const { fromHold, fromAvailable } = refundable.consumed.data;
  return [consumption, ...new Set([...fromHold, ...fromAvailable].map(([revision]) => revision))];
}

/**
 * Refuses what is no consumption of this account, more in sum than it took, nothing at all (but for free units), a
 * total above the ledger's bound, and more than MAX_LOTS open lots where nobody paid for those that come back.
 */
export function decideRefundConsumption(
  command: RefundConsumption,
  account: Account,
  facts: Facts<AccountEvent>,
  { now }: Context,
): Decision<AccountEvent> {
  const refundable = refundableOf(command.consumption, facts);
  if (refundable === undefined || account.status === 'unopened') return reject({ code: 'transaction_not_found' });
  const { consumed, refunded } = refundable;
  const { amount, consumption } = command;
  const left = minus(consumed.data.amount, refunded ?? ZERO);
  // Where all came back before, free units did too, even where nothing but those was taken.
  const isDone = refunded === consumed.data.amount;
  if (amount > left || isDone) return reject({ code: 'refund_exceeds_consumption', requested: amount, left });
  const free =
    amount === left && consumed.data.free !== undefined && consumed.data.free.units > 0 ? consumed.data.free : undefined;
  if (amount === 0 && free === undefined) return reject({ code: 'invalid', path: 'amount', message: 'must be more than 0' });
  const { available, frozen, reserved } = account.balances;
  if (!withinTotal(plus(plus(available, reserved), frozen), amount)) return tooHigh('balance');

  const { restored, toFrozen, reopened, ended, isPaid } = comingBack(account, takenBack(refundable, amount), facts, now);
  const more = reopened.length + (ended > 0 ? 1 : 0);
  if (more > 0 && !isPaid && account.lots.length + more > MAX_LOTS) {
    return reject({ code: 'limit_exceeded', limit: 'openLots', maximum: MAX_LOTS });
  }
  const expiresAt = new Date(now + FRESH_FOR).toISOString();
  const event = withBalances(
    account,
    {
      type: 'CreditsRefunded',
      data: {
        amount,
        app: appOf(consumed.metadata.actor),
        appId: command.appId ?? consumed.data.appId,
        consumption,
        ...(free && { free }),
        ...(ended > 0 && { fresh: { amount: ended, expiresAt, priority: FRESH_PRIORITY } }),
        operation: consumed.data.operation,
        personal: command.personal,
        refunded: plus(refunded ?? ZERO, amount),
        reopened,
        restored,
        ...(toFrozen.length > 0 && { toFrozen }),
      },
    },
    { about: [consumption] },
  );
  return { kind: 'append', events: [event] };
}

/** The consumption at a revision; undefined where it isn't known, or there is none. */
function refundableOf(consumption: number, facts: Facts<AccountEvent>): Refundable | undefined {
  const standing = facts.standing(consumption);
  if (standing?.event.type !== 'CreditsConsumed') return undefined;
  const { event: consumed, last } = standing;
  // Whatever else may one day be about a consumption: without knowing what it leaves, nothing is given back.
  if (last !== undefined && last.type !== 'CreditsRefunded') throw new Error(`${last.type} about a consumption`);
  return { consumed, refunded: last?.data.refunded };
}

/** What a refund takes back, each lot once, the last taken first: past what earlier refunds gave back already. */
function takenBack({ consumed, refunded = ZERO }: Refundable, amount: Micro): LotAmounts {
  const { fromHold, fromAvailable } = consumed.data;
  const parts: [number, Micro][] = [];
  let passed = refunded;
  let open = amount;
  for (const [revision, taken] of [...fromHold, ...fromAvailable].toReversed()) {
    const already = least(taken, passed);
    const part = least(minus(taken, already), open);
    passed = minus(passed, already);
    open = minus(open, part);
    if (part > 0) parts.push([revision, part]);
  }
  return sumByLot(parts);
}

type ComingBack = {
  readonly restored: LotAmounts;
  readonly toFrozen: LotAmounts;
  readonly reopened: AccountEventOf<'CreditsRefunded'>['data']['reopened'];
  /** Taken from lots that have ended or were revoked altogether, in micro-credits. */
  readonly ended: Micro;
  /** Whether somebody paid for any of what comes back as a lot that isn't open now. */
  readonly isPaid: boolean;
};

/** Where each part goes: back to its lot, open or opened again, or into a fresh one where that can't be. */
function comingBack(account: OpenAccount, parts: LotAmounts, facts: Facts<AccountEvent>, now: number): ComingBack {
  const open = new Map(account.lots.map((lot) => [lot.revision, lot]));
  const restored: [number, Micro][] = [];
  const toFrozen: [number, Micro][] = [];
  const reopened: ComingBack['reopened'][number][] = [];
  const ended: [number, Micro][] = [];
  let isPaid = false;
  for (const part of parts) {
    const [revision] = part;
    const grant = standingOfGrant(revision, facts);
    if (grant === undefined) throw new Error(`no event is known that made lot ${revision}`);
    const { expiresAt, granted, last, priority, revoked } = grant;
    const lot = open.get(revision) ?? {
      expiresAt: expiresAt === null ? null : Date.parse(expiresAt),
      frozen: last?.type === 'GrantFrozen',
    };
    const isOver = revoked === granted || hasEnded(lot, now);
    if (isOver) ended.push(part);
    else if (lot.frozen) toFrozen.push(part);
    else restored.push(part);
    if (!isOver && !open.has(revision)) reopened.push({ expiresAt, frozen: lot.frozen, priority, revision });
    if (isOver || !open.has(revision)) isPaid ||= isPaidFor(facts.standing(revision)?.event);
  }
  return { restored, toFrozen, reopened, ended: sumOfLots(ended), isPaid };
}

/** Whether somebody paid for a lot. One that a refund made doesn't tell: the doubt is the customer's. */
function isPaidFor(event: Recorded<AccountEvent> | undefined): boolean {
  return event?.type !== 'CreditsGranted' || event.data.source === 'purchase' || (event.data.paidCents ?? 0) > 0;
}
