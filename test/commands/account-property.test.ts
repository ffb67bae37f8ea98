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
import { type Ask, ask, MODEL_STREAM, type ModelAnswer, newModel, shown } from '../support/plain-model.ts';
import { type Asked, askeds, commandFor, envelopeOf } from '../support/random-commands.ts';
import { expectSound } from '../support/sound-event.ts';
import { expectSpentOnce } from '../support/spent-once.ts';

/** Commands that come together, how long after those before them, and whether the state goes through a snapshot. */
type Step = { readonly asked: readonly Asked[]; readonly later: number; readonly snapshot: boolean };

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    asked: fc.array(askeds, { minLength: 1, maxLength: 4 }),
    later: fc.oneof(
      fc.constant(0),
      fc.constant(1),
      fc.integer({ min: 1, max: 25 }).map((count) => count * 60_000),
    ),
    snapshot: fc.boolean(),
  }),
  { minLength: 1, maxLength: 30 },
);

test('any commands at all: the ledger decides as the model does, and every event is sound', () => {
  fc.assert(fc.property(steps, runBoth), { numRuns: 400, endOnFailure: false });
});

function runBoth(all: readonly Step[]): void {
  const log = new MemoryLog();
  const model = newModel();
  let now = START;
  let calls = 0;
  for (const { asked, later, snapshot } of all) {
    now += later;
    const holds = log.events.filter(({ type }) => type === 'CreditsReserved').map(({ revision }) => revision);
    const asks = asked.map(
      ({ wish, app, key }): Ask => ({ command: commandFor(wish, now, holds), app, key, request: JSON.stringify(wish) }),
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
    const before = balancesOf(account);
    account = accountDecider.evolve(account, event);
    expectSound(event, before, account);
  }
  expect(account).toEqual(log.state.state);
  expectSpentOnce(events, account.status === 'open' ? account.lots : []);
}
