import type { AccountCommand } from '../../src/commands/account-decider.ts';
import type { Asked } from '../../src/commands/price.ts';
import type { Rejection } from '../../src/commands/rejection.ts';
import type { Micro } from '../../src/events/amounts.ts';

/*
 * What an account should do, written as plainly as can be: arrays that keep everything for ever, sums made anew each
 * time, no events. Shares nothing with the ledger but the names of commands and refusals.
 */

type ModelLot = { readonly revision: number; readonly priority: number; readonly ends: number; left: number; held: number };

type ModelHold = {
  readonly revision: number;
  readonly app: string;
  readonly amount: number;
  readonly operation: string | null;
  readonly ends: number;
  readonly parts: readonly { readonly lot: ModelLot; readonly amount: number }[];
  status: 'open' | 'expired' | 'consumed' | 'released';
  settledBy: number;
  taken: number;
};

export type Model = {
  /** How many events its stream has. */
  events: number;
  open: boolean;
  signedUp: boolean;
  earned: number;
  spent: number;
  lots: ModelLot[];
  holds: ModelHold[];
  /** What was used once: idempotency keys with their request, reasons with their reference. */
  used: { readonly name: string; readonly request: string; readonly revision: number }[];
};

/** A command as the model sees it. `key` is null where none was given. */
export type Ask = {
  readonly command: AccountCommand;
  readonly app: string;
  readonly key: string | null;
  readonly request: string;
};

export type ModelAnswer =
  | { readonly kind: 'accepted'; readonly revision: number; readonly replayed: boolean }
  | { readonly kind: 'unchanged'; readonly revision: number | null }
  | { readonly kind: 'rejected'; readonly rejection: Rejection };

export const MODEL_STREAM = 'account-model';

export function newModel(): Model {
  return { events: 0, open: false, signedUp: false, earned: 0, spent: 0, lots: [], holds: [], used: [] };
}

/** What the account shows, as its events say it. */
export function shown(model: Model) {
  const due = [
    ...model.holds.filter(({ status }) => status === 'open').map(({ ends }) => ends),
    ...model.lots.filter(({ left }) => left > 0).map(({ ends }) => ends),
  ].filter((end) => end !== Number.POSITIVE_INFINITY);
  return {
    available: available(model),
    reserved: sum(model.lots.map(({ held }) => held)),
    debt: 0,
    frozen: 0,
    earned: model.earned,
    spent: model.spent,
    dueAt: due.length === 0 ? null : new Date(Math.min(...due)).toISOString(),
  };
}

/** Lets time pass. Changes the model only where something has run out. */
export function passTime(model: Model, now: number): void {
  const endedHolds = model.holds.filter(({ status, ends }) => status === 'open' && ends <= now);
  for (const hold of endedHolds) {
    hold.status = 'expired';
    giveBack(hold);
  }
  const endedLots = model.lots.filter(({ ends, left }) => ends <= now && left > 0);
  for (const lot of endedLots) lot.left = 0;
  if (endedHolds.length + endedLots.length > 0) model.events += 1;
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
      const amount = asked;
      const fresh = { status: 'open', settledBy: -1, taken: 0 } as const;
      model.holds.push({ revision: model.events, app, amount, operation, ends: now + ttl, parts, ...fresh });
      return written(model);
    }
    case 'UseCredits': {
      const asked = byAmount(command.amount);
      if (available(model) < asked || !model.open) return tooLittle(model, asked, command.operation);
      take(model, asked);
      model.spent += asked;
      return written(model);
    }
    case 'CommitReservation':
    case 'ReleaseReservation':
      return settle(model, command, app, now, stream);
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
    if (covered < wanted) return no(insufficient(wanted, covered, hold.operation));
  }
  let open = wanted;
  for (const { lot, amount } of wasOpen ? hold.parts : []) {
    const used = Math.min(open, amount);
    open -= used;
    lot.held -= amount;
    // What is not used of a lot that is over by now is gone with it.
    if (lot.ends > now) lot.left += amount - used;
  }
  take(model, open);
  model.spent += wanted;
  Object.assign(hold, { status: kind, settledBy: model.events, taken: wanted });
  return written(model);
}

function grant(
  model: Model,
  { amount, priority, ends, name }: { amount: number; priority: number; ends: number; name: string },
): ModelAnswer {
  if (!model.open) opened(model);
  const revision = model.events;
  model.lots.push({ revision, priority, ends, left: amount, held: 0 });
  model.earned += amount;
  model.used.push({ name, request: '', revision });
  return written(model);
}

function opened(model: Model): ModelAnswer {
  model.open = true;
  return written(model);
}

function written(model: Model): ModelAnswer {
  model.events += 1;
  return { kind: 'accepted', revision: model.events - 1, replayed: false };
}

/** Takes an amount from the lots: smaller priority first, then the sooner end, then the older. */
function take(model: Model, wanted: number): { lot: ModelLot; amount: number }[] {
  const order = [...model.lots].sort((a, b) => {
    if (a.priority !== b.priority) return a.priority - b.priority;
    if (a.ends !== b.ends) return a.ends < b.ends ? -1 : 1;
    return a.revision - b.revision;
  });
  const parts: { lot: ModelLot; amount: number }[] = [];
  let open = wanted;
  for (const lot of order) {
    const amount = Math.min(lot.left, open);
    if (amount === 0) continue;
    lot.left -= amount;
    open -= amount;
    parts.push({ lot, amount });
  }
  if (open !== 0) throw new Error('the model was asked for more than it has');
  return parts;
}

function giveBack(hold: ModelHold): void {
  for (const { lot, amount } of hold.parts) {
    lot.held -= amount;
    lot.left += amount;
  }
}

function available(model: Model): number {
  return sum(model.lots.map(({ left }) => left));
}

function tooLittle(model: Model, required: number, operation: string | null): ModelAnswer {
  return no(insufficient(required, available(model), operation));
}

function insufficient(required: number, there: number, operation: string | null): Rejection {
  return { code: 'insufficient_credits', required: required as Micro, available: there as Micro, operation };
}

function no(rejection: Rejection): ModelAnswer {
  return { kind: 'rejected', rejection };
}

function sum(amounts: readonly number[]): number {
  return amounts.reduce((total, amount) => total + amount, 0);
}

/** The model knows amounts; prices have tests of their own. */
function byAmount(asked: Asked): Micro {
  if (typeof asked !== 'number') throw new Error('the model knows no prices');
  return asked;
}
