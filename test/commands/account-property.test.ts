import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountDecider } from '../../src/commands/account-decider.ts';
import type { Account } from '../../src/commands/account.ts';
import { balancesOf } from '../../src/commands/balances.ts';
import type { Outcome } from '../../src/commands/write-path/envelope.ts';
import type { AccountEvent } from '../../src/events/account-events.ts';
import type { Json } from '../../src/events/canonical.ts';
import { readAccountEvent } from '../support/read-account-event.ts';
import { START } from '../support/account-samples.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { type ModelAnswer, newModel, shown } from '../support/plain-lots.ts';
import { type Ask, ask, MODEL_STREAM } from '../support/plain-model.ts';
import { type Asked, askeds, commandFor, disputedAskeds, envelopeOf, placesOf } from '../support/random-commands.ts';
import { expectSound } from '../support/sound-event.ts';
import { expectSpentOnce } from '../support/spent-once.ts';

/** Commands that come together, how long after those before them, and whether the state goes through a snapshot. */
type Step = { readonly asked: readonly Asked[]; readonly later: number; readonly snapshot: boolean };

function steps(asked: fc.Arbitrary<Asked>, minLength: number): fc.Arbitrary<readonly Step[]> {
  const later = fc.oneof(
    fc.constant(0),
    fc.constant(1),
    fc.integer({ min: 1, max: 25 }).map((count) => count * 60_000),
  );
  return fc.array(fc.record({ asked: fc.array(asked, { minLength: 1, maxLength: 4 }), later, snapshot: fc.boolean() }), {
    minLength,
    maxLength: minLength + 30,
  });
}

test('any commands at all: the ledger decides as the model does, and every event is sound', () => {
  fc.assert(fc.property(steps(askeds, 1), runBoth), { numRuns: 400, endOnFailure: false });
});

test('disputes at every turn: the same, and no kind of payment or way back is out of reach', { timeout: 60_000 }, () => {
  reached.clear();
  fc.assert(fc.property(steps(disputedAskeds, 20), runBoth), { numRuns: 250, endOnFailure: false });
  for (const what of RARE) expect(reached, what).toContain(what);
});

/** What the commands came to, by type of event and by field of its data. */
const reached = new Set<string>();
const RARE = [
  ...['CreditsGranted', 'CreditsConsumed', 'ReservationReleased', 'Expired', 'CreditsRefunded', 'GrantUnfrozen'].map(
    (type) => `${type} debtPaid`,
  ),
  ...['CreditsConsumed', 'ReservationReleased', 'Expired', 'CreditsRefunded'].map((type) => `${type} toFrozen`),
  'CreditsRefunded fresh',
  'CreditsRefunded reopened',
  'GrantFrozen reopened',
];

function runBoth(all: readonly Step[]): void {
  const log = new MemoryLog();
  const model = newModel();
  let now = START;
  let calls = 0;
  for (const { asked, later, snapshot } of all) {
    now += later;
    const places = placesOf(log.events);
    const asks = asked.map(
      ({ wish, app, key }): Ask => ({ command: commandFor(wish, now, places), app, key, request: JSON.stringify(wish) }),
    );
    const envelopes = asks.map(({ command, app, key, request }) => {
      calls += 1;
      const body: Json = { request };
      return envelopeOf(MODEL_STREAM, command, { app, key, commandId: `call-${calls}`, body });
    });
    const start = log.events.length;
    const outcomes = log.run(envelopes, now);
    asks.forEach((one, index) => {
      const expected = ask(model, { ...one, request: `${one.command.type} ${one.request}` }, now);
      expect(seen(outcomes[index])).toEqual(expected);
    });
    expect(log.events.length).toBe(model.events);
    if (log.events.length > start) expect(balancesOf(log.state.state)).toEqual(shown(model));
    expect(log.events.slice(start).every(({ metadata }) => readAt(metadata) === now)).toBe(true);
    if (snapshot) log.state = { ...log.state, state: JSON.parse(JSON.stringify(log.state.state)) as Account };
  }
  replayed(log);
}

function readAt(metadata: string): number {
  return Date.parse((JSON.parse(metadata) as { at: string }).at);
}

function seen(outcome: Outcome<Account, AccountEvent> | undefined): ModelAnswer | undefined {
  switch (outcome?.kind) {
    case 'accepted':
      return { kind: 'accepted', revision: outcome.event.revision, replayed: outcome.replayed };
    case 'unchanged':
      return { kind: 'unchanged', revision: outcome.event?.revision ?? null };
    case 'rejected':
      return { kind: 'rejected', rejection: outcome.rejection };
    case undefined:
      return undefined;
    default:
      return outcome satisfies never;
  }
}

/** Folds the log from its beginning, as stored: each event is sound, and the end is where the write path stands. */
function replayed(log: MemoryLog): void {
  const events = log.events.map(readAccountEvent);
  let account = accountDecider.initialState;
  for (const event of events) {
    reached.add(event.type);
    for (const field of Object.keys(event.data)) reached.add(`${event.type} ${field}`);
    const before = balancesOf(account);
    account = accountDecider.evolve(account, event);
    expectSound(event, before, account);
  }
  expect(account).toEqual(log.state.state);
  expectSpentOnce(events, account.status === 'open' ? account.lots : []);
}
