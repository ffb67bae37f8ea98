import { expect } from 'vitest';
import { accountDecider, type AccountCommand } from '../../src/commands/account-decider.ts';
import type { Account } from '../../src/commands/account.ts';
import { balancesOf, withBalances } from '../../src/commands/balances.ts';
import type { Decided, Decision, Facts } from '../../src/commands/decider.ts';
import type { Rejection } from '../../src/commands/rejection.ts';
import { type AccountEvent, accountStream, type Balances } from '../../src/events/account-events.ts';
import { ZERO } from '../../src/events/amounts.ts';
import { NO_HASH, seal } from '../../src/events/chain.ts';
import { readEvent, type Recorded, schemaVersion } from '../../src/events/event-types.ts';
import type { Actor, Metadata } from '../../src/events/metadata.ts';
import { iso, type Sample, START } from './account-samples.ts';
import { expectSound } from './sound-event.ts';

/*
 * given(events).when(command).then(events | rejection) for the account decider, after emmett's DeciderSpecification.
 * Before the command, what has run out by its time is written down, as the write path does.
 */

/** What a command is expected to lead to: events in order, at the end a refusal, or an event that answered before. */
type Expected = Sample | Rejection | { readonly repeats: number } | { readonly unchanged: number | null };

const STREAM = accountStream('u1');
const NOTHING: Balances = {
  available: ZERO,
  debt: ZERO,
  dueAt: null,
  earned: ZERO,
  frozen: ZERO,
  reserved: ZERO,
  spent: ZERO,
};

/** What happened to an account; the first event opens it. Apps are `writer` where not named. */
export function given(...samples: readonly Sample[]) {
  const history = new History();
  for (const sample of samples) history.add(sample);
  return asking(history, { now: START, app: 'writer' });
}

type Asking = { readonly now: number; readonly app: string };

function asking(history: History, how: Asking) {
  return {
    /** Sets the clock, in ms since 1970. */
    at: (now: number) => asking(history, { ...how, now }),
    /** Lets another app ask. */
    by: (app: string) => asking(history, { ...how, app }),
    /** The account as it stands by now. */
    account: () => history.account,
    when(command: AccountCommand) {
      const { written, decision } = run(history, command, how);
      return {
        written,
        decision,
        // Reads as in emmett; nobody awaits it.
        // oxlint-disable-next-line unicorn/no-thenable
        then: (...expected: readonly Expected[]) => expect(seen(written, decision)).toEqual(expected.map(asSeen)),
      };
    },
  };
}

/** Folds and remembers what happened. */
class History {
  account: Account = accountDecider.initialState;
  readonly events: Recorded<AccountEvent>[] = [];

  add({ after, by = 'writer', ...movement }: Sample): void {
    const { about, claims } = movement;
    const { account } = this;
    let event: Decided<AccountEvent>;
    if (after !== undefined || account.status === 'unopened') {
      event = { ...movement, data: { ...movement.data, after: { ...NOTHING, ...after } } } as Decided<AccountEvent>;
    } else {
      event = withBalances(account, movement, { about, claims });
    }
    this.record(event, by === 'system' ? { kind: 'system', name: 'expiry' } : { kind: 'service', app: by, key: 'k1' }, START);
  }

  record({ type, data, about = [], claims = [] }: Decided<AccountEvent>, actor: Actor, at: number): void {
    const last = this.events.at(-1);
    const metadata: Metadata = {
      about: [...about],
      actor,
      at: iso(at),
      causationId: null,
      claims: [...claims],
      commandId: 'c1',
      correlationId: 'c1',
      idempotencyKey: null,
      prevHash: last?.hash.toString('base64url') ?? NO_HASH,
      requestHash: null,
      schema: schemaVersion(type),
    };
    const revision = this.events.length;
    const sealed = seal({ stream: STREAM, revision, type, data, metadata });
    // What can't be read back would be lost with the account.
    readEvent(sealed);
    const { id, hash } = sealed;
    const event = { stream: STREAM, revision, id, hash, type, data, metadata } as Recorded<AccountEvent>;
    const before = balancesOf(this.account);
    this.account = accountDecider.evolve(this.account, event);
    this.events.push(event);
    expectSound(event, before, this.account);
  }

  /** The facts that the write path would read for a command: no more than the decider asks for, round by round. */
  factsFor(command: AccountCommand): Facts<AccountEvent> {
    const asked = new Set<number>();
    const facts: Facts<AccountEvent> = {
      claimed: (claim) => this.events.find(({ metadata }) => metadata.claims.includes(claim)),
      standing: (revision) => {
        const event = this.events[revision];
        if (event === undefined || !asked.has(revision)) return undefined;
        return { event, last: this.events.findLast(({ metadata }) => metadata.about.includes(revision)) };
      },
    };
    for (let round = 0; round < 3; round += 1) {
      for (const revision of accountDecider.missingFacts(command, this.account, facts)) asked.add(revision);
    }
    return facts;
  }
}

function run(history: History, command: AccountCommand, { now, app }: Asking) {
  const written: Decided<AccountEvent>[] = [];
  const expiry = accountDecider.expire(history.account, now);
  if (expiry !== undefined) {
    written.push(expiry);
    history.record(expiry, { kind: 'system', name: 'expiry' }, now);
  }
  const decision = accountDecider.decide(command, history.account, history.factsFor(command), {
    now,
    stream: STREAM,
    actor: { kind: 'service', app, key: 'k1' },
    app,
    revision: history.events.length,
  });
  if (decision.kind === 'append') {
    for (const event of decision.events) history.record(event, { kind: 'service', app, key: 'k1' }, now);
    written.push(...decision.events);
  }
  return { written, decision };
}

function seen(written: readonly Decided<AccountEvent>[], decision: Decision<AccountEvent>): readonly unknown[] {
  const events = written.map(({ type, data, about = [], claims = [] }) => ({ type, data, about, claims }));
  switch (decision.kind) {
    case 'append':
      return events;
    case 'reject':
      return [...events, decision.rejection];
    case 'repeat':
      return [...events, { repeats: decision.event.revision }];
    case 'unchanged':
      return [...events, { unchanged: decision.event?.revision ?? null }];
    default:
      return decision satisfies never;
  }
}

function asSeen(expected: Expected): unknown {
  if (!('type' in expected)) return expected;
  const { type, data, about, claims, after } = expected;
  if (after === undefined) throw new Error(`say the balances after ${type}`);
  return { type, data: { ...data, after: { ...NOTHING, ...after } }, about, claims };
}
