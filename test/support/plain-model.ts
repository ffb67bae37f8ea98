import type { AccountCommand } from '../../src/commands/account-decider.ts';
import type { Asked } from '../../src/commands/price.ts';
import type { Micro } from '../../src/events/amounts.ts';
import { changeGrant, debitFrom, refundTo } from './plain-grants.ts';
import {
  addLot,
  available,
  insufficient,
  isOver,
  type Model,
  type ModelAnswer,
  type ModelHold,
  type ModelLot,
  no,
  type Parts,
  payDebt,
  take,
  written,
} from './plain-lots.ts';

/*
 * What an account should do, written as plainly as can be: arrays that keep everything for ever, sums made anew each
 * time, no events. Shares nothing with the ledger but the names of commands and refusals.
 */

/** A command as the model sees it. `key` is null where none was given. */
export type Ask = {
  readonly command: AccountCommand;
  readonly app: string;
  readonly key: string | null;
  readonly request: string;
};

export const MODEL_STREAM = 'account-model';

/** Lets time pass, moment by moment, in one event. Changes the model only where something has run out. */
export function passTime(model: Model, now: number): void {
  const ends = [...model.holds, ...model.lots].map((one) => one.ends).filter((end) => end < now);
  const moments = [...new Set([...ends, now])].sort((a, b) => a - b);
  const changes = moments.map((moment) => endAt(model, moment));
  if (changes.includes(true)) model.events += 1;
}

function endAt(model: Model, moment: number): boolean {
  const endedHolds = model.holds.filter(({ status, ends }) => status === 'open' && ends <= moment);
  for (const hold of endedHolds) {
    hold.status = 'expired';
    giveBack(hold);
  }
  const endedLots = model.lots.filter((lot) => isOver(lot, moment) && lot.left > 0);
  for (const lot of endedLots) lot.left = 0;
  payDebt(model);
  return endedHolds.length + endedLots.length > 0;
}

/** Runs a command on the model, and says what the ledger should answer. */
export function ask(model: Model, { command, app, key, request }: Ask, now: number, stream = MODEL_STREAM): ModelAnswer {
  passTime(model, now);
  const name = key === null ? undefined : `key ${app} ${key}`;
  const before = model.used.find((one) => one.name === name);
  if (before !== undefined) {
    return before.request === request
      ? { kind: 'accepted', revision: before.revision, replayed: true }
      : { kind: 'rejected', rejection: { code: 'idempotency_conflict' } };
  }
  const answer = decide(model, command, app, now, stream);
  if (answer.kind === 'accepted' && !answer.replayed && name !== undefined)
    model.used.push({ name, request, revision: answer.revision });
  return answer;
}

function decide(model: Model, command: AccountCommand, app: string, now: number, stream: string): ModelAnswer {
  switch (command.type) {
    case 'OpenAccount': {
      const gift = command.signupGrant > 0 && !model.signedUp;
      if (model.open && !gift) return { kind: 'unchanged', revision: null };
      if (!gift) return opened(model);
      model.signedUp = true;
      return grant(model, {
        amount: command.signupGrant,
        priority: 50,
        ends: Number.POSITIVE_INFINITY,
        name: 'grant signup signup',
      });
    }
    case 'GrantCredits': {
      const name = `grant ${command.reason} ${command.reference}`;
      const given = model.used.find((one) => one.name === name);
      if (given !== undefined) return { kind: 'unchanged', revision: given.revision };
      const ends = command.expiresAt ?? Number.POSITIVE_INFINITY;
      if (ends <= now) return no({ code: 'invalid', path: 'expiresAt', message: 'must lie in the future' });
      return grant(model, { amount: command.amount, priority: command.priority, ends, name });
    }
    case 'ReserveCredits': {
      const asked = byAmount(command.amount);
      if (available(model) < asked || !model.open) return tooLittle(model, asked, command.operation);
      const parts = take(model, asked);
      for (const { lot, amount } of parts) lot.held += amount;
      const { operation, ttl } = command;
      const fresh = { status: 'open', settledBy: -1, taken: 0 } as const;
      model.holds.push({ revision: model.events, app, amount: asked, operation, ends: now + ttl, parts, ...fresh });
      return written(model);
    }
    case 'UseCredits': {
      const asked = byAmount(command.amount);
      if (available(model) < asked || !model.open) return tooLittle(model, asked, command.operation);
      return consume(model, asked, take(model, asked));
    }
    case 'CommitReservation':
    case 'ReleaseReservation':
      return settle(model, command, app, now, stream);
    case 'RefundConsumption':
      return refundTo(model, command, now);
    case 'DebitCredits':
      return debitFrom(model, command);
    case 'FreezeGrant':
    case 'UnfreezeGrant':
    case 'RevokeGrant':
      return changeGrant(model, command, now);
    case 'Atomic':
      throw new Error('the model knows no atomic batches');
    case 'ExpireDue':
      return { kind: 'unchanged', revision: null };
    default:
      return command satisfies never;
  }
}

type Settling = Extract<AccountCommand, { readonly reservation: number }>;

function settle(model: Model, command: Settling, app: string, now: number, stream: string): ModelAnswer {
  const hold = model.holds.find(({ revision }) => revision === command.reservation);
  if (hold === undefined) return no({ code: 'reservation_not_found' });
  if (hold.app !== app) return no({ code: 'reservation_of_another_app' });
  const kind = command.type === 'CommitReservation' ? 'consumed' : 'released';
  const wanted = command.type === 'CommitReservation' ? (command.amount ?? hold.amount) : 0;
  if (hold.status === 'consumed' || hold.status === 'released') {
    if (hold.status === kind && hold.taken === wanted) return { kind: 'accepted', revision: hold.settledBy, replayed: true };
    const transaction = { stream, revision: hold.settledBy };
    return no({
      code: 'reservation_already_resolved',
      resolution: { status: hold.status, transaction, amount: hold.taken as Micro },
    });
  }
  const wasOpen = hold.status === 'open';
  if (command.type === 'CommitReservation') {
    if (!wasOpen && command.onExpired === 'refuse') return no({ code: 'reservation_expired' });
    const covered = available(model) + (wasOpen ? hold.amount : 0);
    if (covered < wanted) return insufficient(wanted, covered, hold.operation);
  }
  const fromHold: { lot: ModelLot; amount: number }[] = [];
  let open = wanted;
  for (const { lot, amount } of wasOpen ? hold.parts : []) {
    const used = Math.min(open, amount);
    open -= used;
    if (used > 0) fromHold.push({ lot, amount: used });
    lot.held -= amount;
    // What is not used of a lot that is over by now is gone with it.
    if (!isOver(lot, now)) lot.left += amount - used;
  }
  Object.assign(hold, { status: kind, settledBy: model.events, taken: wanted });
  return kind === 'consumed' ? consume(model, wanted, [...fromHold, ...take(model, open)]) : written(model);
}

function consume(model: Model, amount: number, parts: Parts): ModelAnswer {
  model.uses.push({ revision: model.events, amount, parts, refunded: null });
  model.spent += amount;
  return written(model);
}

function grant(
  model: Model,
  { amount, priority, ends, name }: { amount: number; priority: number; ends: number; name: string },
): ModelAnswer {
  if (!model.open) opened(model);
  const revision = model.events;
  addLot(model, { amount, priority, ends });
  model.earned += amount;
  model.used.push({ name, request: '', revision });
  return written(model);
}

function opened(model: Model): ModelAnswer {
  model.open = true;
  return written(model);
}

function giveBack(hold: ModelHold): void {
  for (const { lot, amount } of hold.parts) {
    lot.held -= amount;
    lot.left += amount;
  }
}

function tooLittle(model: Model, required: number, operation: string | null): ModelAnswer {
  return insufficient(required, available(model), operation);
}

/** The model knows amounts; prices have tests of their own. */
function byAmount(asked: Asked): Micro {
  if (typeof asked !== 'number') throw new Error('the model knows no prices');
  return asked;
}
