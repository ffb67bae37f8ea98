import { expect } from 'vitest';
import { accountDecider } from '../../src/commands/account-decider.ts';
import type { Account } from '../../src/commands/account.ts';
import { balancesOf } from '../../src/commands/balances.ts';
import type { Outcome } from '../../src/commands/write-path/envelope.ts';
import type { AccountEvent } from '../../src/events/account-events.ts';
import type { Recorded } from '../../src/events/event-types.ts';
import { type Model, type ModelAnswer, newModel, shown } from './plain-lots.ts';
import { type Ask, ask, passTime } from './plain-model.ts';
import { expectSound } from './sound-event.ts';
import { expectSpentOnce } from './spent-once.ts';

/** A command that was sent, when (by a counter of everything that happened), and what came back. */
export type Call = {
  readonly ask: Ask;
  readonly commandId: string;
  /** The time that its process saw, in ms since 1970. */
  readonly now: number;
  readonly issued: number;
  readonly answered: number;
  readonly outcome: Outcome<Account, AccountEvent>;
};

/** An outcome as the model speaks of it. */
export function seen(outcome: Outcome<Account, AccountEvent>): ModelAnswer {
  switch (outcome.kind) {
    case 'accepted':
      return { kind: 'accepted', revision: outcome.event.revision, replayed: outcome.replayed };
    case 'unchanged':
      return { kind: 'unchanged', revision: outcome.event?.revision ?? null };
    case 'rejected':
      return { kind: 'rejected', rejection: outcome.rejection };
    default:
      return outcome satisfies never;
  }
}

/**
 * Holds what one stream's callers were told against its log: the order of the log is an order in which the model, one
 * command at a time, writes the same events and gives the same answers, and no answer rests on a state older than what
 * its caller could have known, or newer than what came after.
 */
export function expectSerial(stream: string, events: readonly Recorded<AccountEvent>[], calls: readonly Call[]): void {
  const { models, account } = foldBeside(stream, events, calls);
  expectSpentOnce(events, account.status === 'open' ? account.lots : []);
  expectEachOnce(events, calls);
  for (const call of calls) {
    if (wrote(call)) continue;
    const [from, to] = window(call, calls, events.length - 1);
    const answers = models
      .slice(from + 1, to + 2)
      .flatMap((model) => (model === undefined ? [] : [answerAt(model, call, stream)]));
    expect(answers).toContainEqual(seen(call.outcome));
    if (call.outcome.kind === 'accepted') expect(call.outcome.event).toEqual(events[call.outcome.event.revision]);
  }
}

/** Folds the log and the model side by side. `models[r + 1]`: after revision r, where a command ended there. */
function foldBeside(stream: string, events: readonly Recorded<AccountEvent>[], calls: readonly Call[]) {
  const byCommand = new Map(calls.map((call) => [call.commandId, call]));
  const model = newModel();
  const models: (Model | undefined)[] = [structuredClone(model)];
  let account = accountDecider.initialState;
  for (const event of events) {
    const before = balancesOf(account);
    account = accountDecider.evolve(account, event);
    expectSound(event, before, account);
    const call = byCommand.get(event.metadata.commandId);
    const at = Date.parse(event.metadata.at);
    if (event.type === 'Expired') passTime(model, at);
    else if (call === undefined) throw new Error(`${event.type} at ${event.revision} that nobody asked for`);
    else if (events[event.revision + 1]?.metadata.commandId === call.commandId) {
      // The first of two events of one command: nobody ever sees the stream between them.
      models.push(undefined);
      continue;
    } else {
      expect(at).toBe(call.now);
      expect(ask(model, call.ask, call.now, stream)).toEqual({ kind: 'accepted', revision: event.revision, replayed: false });
    }
    expect(model.events).toBe(event.revision + 1);
    expect(event.data.after).toEqual(shown(model));
    models.push(structuredClone(model));
  }
  return { models, account };
}

function answerAt(model: Model, call: Call, stream: string): ModelAnswer {
  return ask(structuredClone(model), call.ask, call.now, stream);
}

function wrote({ outcome }: Call): boolean {
  return outcome.kind === 'accepted' && !outcome.replayed;
}

/** The revisions on which an answer may rest: from what was answered before it was asked to what was asked after it. */
function window(call: Call, calls: readonly Call[], head: number): readonly [number, number] {
  let from = -1;
  let to = head;
  for (const other of calls) {
    if (other.answered < call.issued) from = Math.max(from, revisionOf(other) ?? -1);
    if (other.issued > call.answered && wrote(other)) to = Math.min(to, (revisionOf(other) ?? head) - 1);
  }
  return [from, to];
}

function revisionOf({ outcome }: Call): number | undefined {
  switch (outcome.kind) {
    case 'accepted':
      return outcome.event.revision;
    case 'unchanged':
      return outcome.revision;
    case 'rejected':
      return undefined;
    default:
      return outcome satisfies never;
  }
}

/** Every command that was accepted stands in the log once, as its caller saw it, and in the order of time. */
function expectEachOnce(events: readonly Recorded<AccountEvent>[], calls: readonly Call[]): void {
  const written = calls.filter(wrote);
  const last = new Map(events.filter(({ type }) => type !== 'Expired').map((event) => [event.metadata.commandId, event]));
  expect([...last.keys()].sort()).toEqual(written.map(({ commandId }) => commandId).sort());
  for (const call of written) {
    if (call.outcome.kind === 'accepted') expect(call.outcome.event).toEqual(last.get(call.commandId));
    const [from] = window(call, calls, events.length - 1);
    expect(revisionOf(call)).toBeGreaterThan(from);
  }
}
