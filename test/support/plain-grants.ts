import type { AccountCommand } from '../../src/commands/account-decider.ts';
import type { Micro } from '../../src/events/amounts.ts';
import {
  addLot,
  available,
  insufficient,
  isOver,
  type Model,
  type ModelAnswer,
  type ModelLot,
  no,
  sum,
  take,
  THIRTY_DAYS,
  written,
} from './plain-lots.ts';

/* What the plain model makes of refunds, debits, and of commands on a grant. */

type CommandOf<Type extends AccountCommand['type']> = Extract<AccountCommand, { type: Type }>;

/** Back to the lots, the last taken first; what can't go back comes as a lot of its own. */
export function refundTo(model: Model, { consumption, amount }: CommandOf<'RefundConsumption'>, now: number): ModelAnswer {
  const use = model.uses.find(({ revision }) => revision === consumption);
  if (use === undefined) return no({ code: 'transaction_not_found' });
  const left = use.amount - (use.refunded ?? 0);
  if (amount > left || use.refunded === use.amount) {
    return no({ code: 'refund_exceeds_consumption', requested: amount, left: left as Micro });
  }
  if (amount === 0) return no({ code: 'invalid', path: 'amount', message: 'must be more than 0' });
  // The first to come back is the last that was taken and is not back yet.
  const backwards = use.parts.map(({ lot, amount: taken }) => ({ lot, taken })).toReversed();
  let passed = use.refunded ?? 0;
  let open: number = amount;
  let fresh = 0;
  for (const { lot, taken } of backwards) {
    const already = Math.min(taken, passed);
    const part = Math.min(taken - already, open);
    passed -= already;
    open -= part;
    if (lot.revoked === lot.granted || isOver(lot, now)) fresh += part;
    else lot.left += part;
  }
  if (fresh > 0) addLot(model, { amount: fresh, priority: 50, ends: now + THIRTY_DAYS });
  use.refunded = (use.refunded ?? 0) + amount;
  model.spent -= amount;
  return written(model);
}

/** Once for a reason and reference. */
export function debitFrom(model: Model, { amount, reason, reference }: CommandOf<'DebitCredits'>): ModelAnswer {
  const name = `debit ${reason} ${reference}`;
  const before = model.used.find((one) => one.name === name);
  if (before !== undefined) return { kind: 'unchanged', revision: before.revision };
  if (!model.open || available(model) < amount) return insufficient(amount, available(model), null);
  take(model, amount);
  model.used.push({ name, request: '', revision: model.events });
  return written(model);
}

type OnGrant = CommandOf<'FreezeGrant' | 'UnfreezeGrant' | 'RevokeGrant'>;

/** Freezes, thaws or revokes. */
export function changeGrant(model: Model, command: OnGrant, now: number): ModelAnswer {
  const lot = model.lots.find(({ revision }) => revision === command.grant);
  if (lot === undefined) return no({ code: 'grant_not_found' });
  const unchanged: ModelAnswer = { kind: 'unchanged', revision: lot.lastAbout };
  switch (command.type) {
    case 'FreezeGrant':
      if (lot.frozen || lot.revoked === lot.granted) return unchanged;
      lot.frozen = true;
      break;
    case 'UnfreezeGrant':
      if (!lot.frozen) return unchanged;
      thaw(lot, now);
      break;
    case 'RevokeGrant': {
      const revocable = lot.granted - lot.revoked;
      const amount = command.amount ?? revocable;
      if (amount > revocable) return no({ code: 'limit_exceeded', limit: 'revocable', maximum: revocable });
      if (amount === 0) return unchanged;
      revoke(model, lot, amount, now);
      break;
    }
    default:
      return command satisfies never;
  }
  lot.lastAbout = model.events;
  return written(model);
}

function revoke(model: Model, lot: ModelLot, amount: number, now: number): void {
  const own = Math.min(lot.left, amount);
  lot.left -= own;
  const others = Math.min(amount - own, available(model));
  const taken = sum(take(model, others).map((part) => part.amount));
  model.debt += amount - own - taken;
  lot.revoked += amount;
  if (lot.frozen && lot.revoked === lot.granted) thaw(lot, now);
}

function thaw(lot: ModelLot, now: number): void {
  lot.frozen = false;
  if (lot.ends <= now) lot.ends = now + THIRTY_DAYS;
}
