import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AccountCommand } from '../../src/commands/account-decider.ts';
import type { Micro } from '../../src/events/amounts.ts';
import { project } from '../../src/projections/project.ts';
import { commit, grant, reserve, use } from '../support/account-samples.ts';
import { type TestAccount, useLedger } from '../support/ledger.ts';
import { expectAsFolded, heads, projectFully } from './projecting.ts';

/*
 * Invariant 1 of the ledger: the log is the truth. Random commands, time that passes, and projections of random parts
 * in between, some of them at once; then all read models must be, to the bit, what a fold of the log makes of them,
 * however it is cut into transactions.
 */

const bench = useLedger();

const RUNS = 12;
const MINUTE = 60_000;
const APPS = ['writer', 'painter'];

type Step =
  | {
      readonly do: 'grant';
      readonly who: number;
      readonly amount: number;
      readonly priority: number;
      readonly minutes: number | null;
    }
  | { readonly do: 'reserve'; readonly who: number; readonly amount: number; readonly minutes: number }
  | {
      readonly do: 'settle';
      readonly who: number;
      readonly hold: number;
      readonly amount: number | null;
      readonly release: boolean;
    }
  | { readonly do: 'use'; readonly who: number; readonly amount: number }
  | { readonly do: 'wait'; readonly minutes: number }
  | { readonly do: 'project'; readonly parts: readonly { readonly who: number; readonly share: number }[] };

const who = fc.nat({ max: 3 });
const amount = fc.integer({ min: 1, max: 9_000_000 });
const minutes = fc.integer({ min: 1, max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('grant'),
      who,
      amount,
      priority: fc.integer({ min: 1, max: 100 }),
      minutes: fc.option(minutes),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('reserve'), who, amount, minutes }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('settle'),
      who,
      hold: fc.nat({ max: 5 }),
      amount: fc.option(amount),
      release: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('use'), who, amount }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), minutes }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('project'),
      parts: fc.array(fc.record({ who, share: fc.double({ min: 0, max: 1, noNaN: true }) }), { minLength: 1, maxLength: 6 }),
    }),
  },
) as fc.Arbitrary<Step>;

/** The accounts of a run, each seen by both apps, with the holds that were made in them. */
class Run {
  readonly #accounts: readonly { readonly name: string; readonly holds: number[] }[];

  constructor(index: number) {
    this.#accounts = [0, 1, 2, 3].map((number) => ({ name: `user ${index}.${number}`, holds: [] }));
  }

  async take(one: Step): Promise<void> {
    if (one.do === 'wait') return bench.ledger.wait(one.minutes * MINUTE);
    if (one.do === 'project') return this.#project(one.parts);
    const account = this.#accounts[one.who];
    if (account === undefined) throw new Error('a step of nobody');
    const app = APPS[one.who % APPS.length];
    // What the ledger refuses writes nothing, which is as good a step as any.
    const outcome = await this.#ask(account.name, app).execute(this.#command(one, account.holds));
    if (outcome.kind === 'accepted' && outcome.event.type === 'CreditsReserved') account.holds.push(outcome.event.revision);
  }

  #ask(name: string, app: string | undefined): TestAccount {
    return bench.ledger.account(name, app);
  }

  #command(one: Exclude<Step, { do: 'wait' | 'project' }>, holds: readonly number[]): AccountCommand {
    switch (one.do) {
      case 'grant': {
        const expiresAt = one.minutes === null ? null : bench.ledger.context.clock.now() + one.minutes * MINUTE;
        return grant({ amount: one.amount as Micro, priority: one.priority, expiresAt, reference: `${one.amount} ${expiresAt}` });
      }
      case 'reserve':
        return reserve({ amount: one.amount as Micro, ttl: one.minutes * MINUTE });
      case 'settle': {
        // Old ones too: late, settled before, and such as never were.
        const reservation = holds.at(-1 - one.hold) ?? one.hold;
        if (one.release) return { type: 'ReleaseReservation', reservation, personal: null };
        return commit(reservation, one.amount === null ? null : (one.amount as Micro));
      }
      case 'use':
        return use(one.amount as Micro);
      default:
        return one satisfies never;
    }
  }

  /** Several projectors at once, each with one stream and as much of it as its share. */
  async #project(parts: readonly { readonly who: number; readonly share: number }[]): Promise<void> {
    const { context } = bench.ledger;
    const found = new Map((await heads(context)).map(({ stream, revision }) => [stream, revision]));
    const signals = parts.flatMap(({ who, share }) => {
      const { stream } = this.#ask(this.#accounts[who]?.name ?? '', undefined);
      const head = found.get(stream);
      return head === undefined ? [] : [{ stream, revision: Math.floor(head * share) }];
    });
    await Promise.all(signals.map((signal) => project(context.db, context.store, [signal])));
  }
}

it('the read models are what a fold of the log makes of them', async () => {
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 70 }), fc.constantFrom(1, 2, 500), async (steps, together) => {
      const run = new Run(runs);
      runs += 1;
      for (const one of steps) await run.take(one);
      const { context } = bench.ledger;
      await projectFully(context, await heads(context));
      await expectAsFolded(context, bench.database.superuser, together);
    }),
    { numRuns: RUNS, endOnFailure: true },
  );
  expect(runs).toBeGreaterThan(0);
}, 60_000);
