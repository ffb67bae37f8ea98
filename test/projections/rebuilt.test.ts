import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AccountCommand } from '../../src/commands/account-decider.ts';
import { type AccountEvent, accountSchemas } from '../../src/events/account-events.ts';
import { type Micro, ZERO } from '../../src/events/amounts.ts';
import type { Recorded } from '../../src/events/event-types.ts';
import { project } from '../../src/projections/project.ts';
import { commit, grant, refund, reserve, use } from '../support/account-samples.ts';
import { type TestAccount, useLedger } from '../support/ledger.ts';
import { expectAsInLog } from './as-in-log.ts';
import { expectAsFolded, heads, projectFully } from './projecting.ts';

/*
 * Invariant 1 of the ledger: the log is the truth. Random commands, time that passes, and projections of random parts
 * in between, some of them at once; then all read models must be, to the bit, what a fold of the log makes of them,
 * however it is cut into transactions. And they must say what the accounts themselves say, which know no tables.
 */

const bench = useLedger();

const RUNS = 16;
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
  | { readonly do: 'charge'; readonly who: number; readonly quantity: number; readonly held: boolean }
  | { readonly do: 'refund'; readonly who: number; readonly use: number; readonly amount: number }
  | { readonly do: 'debit'; readonly who: number; readonly amount: number }
  | {
      readonly do: 'doubt';
      readonly who: number;
      readonly grant: number;
      readonly type: 'FreezeGrant' | 'UnfreezeGrant' | 'RevokeGrant';
      readonly amount: number | null;
    }
  | { readonly do: 'wait'; readonly minutes: number }
  | { readonly do: 'project'; readonly parts: readonly { readonly who: number; readonly share: number }[] };

const who = fc.nat({ max: 2 });
const amount = fc.integer({ min: 1, max: 9_000_000 });
/** What of something larger is taken, mostly less than there is. */
const part = fc.integer({ min: 1, max: 2_000_000 });
const minutes = fc.integer({ min: 1, max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('grant'),
      who,
      amount: fc.integer({ min: 1, max: 30_000_000 }),
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
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('charge'), who, quantity: fc.integer({ min: 1, max: 40 }), held: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('refund'), who, use: fc.nat({ max: 3 }), amount: part }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('debit'), who, amount }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('doubt'),
      who,
      grant: fc.nat({ max: 1 }),
      type: fc.constantFrom('FreezeGrant', 'UnfreezeGrant', 'RevokeGrant'),
      amount: fc.option(part),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait'), minutes }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('project'),
      parts: fc.array(fc.record({ who, share: fc.double({ min: 0, max: 1, noNaN: true }) }), { minLength: 1, maxLength: 6 }),
    }),
  },
) as fc.Arbitrary<Step>;

/** What an operation costs that is charged by units, ten of them free each day. */
const PRICE = {
  app: 'writer',
  cost: 300_000 as Micro,
  free: { period: 'day', uses: 10 },
  operation: 'chat',
  per: 1,
  revision: 0,
} as const;
const UNSAID = { appId: null, personal: null };

/** What has happened in an account that later steps may be about, by revision. */
type Seen = {
  readonly name: string;
  readonly holds: number[];
  readonly uses: number[];
  readonly lots: number[];
  readonly frozen: number[];
};

function remember({ holds, uses, lots, frozen }: Seen, { type, data, revision }: Recorded<AccountEvent>): void {
  if (type === 'GrantFrozen') frozen.push(data.grant);
  if (type === 'CreditsReserved') holds.push(revision);
  if (type === 'CreditsConsumed') uses.push(revision);
  if (type === 'CreditsGranted' || (type === 'CreditsRefunded' && data.fresh !== undefined)) lots.push(revision);
}

/** The accounts of a run, each seen by both apps, with the holds that were made in them. */
class Run {
  readonly #accounts: readonly Seen[];

  constructor(index: number) {
    this.#accounts = [0, 1, 2].map((number) => ({
      name: `user ${index}.${number}`,
      holds: [],
      uses: [],
      lots: [],
      frozen: [],
    }));
  }

  async take(one: Step): Promise<void> {
    if (one.do === 'wait') return bench.ledger.wait(one.minutes * MINUTE);
    if (one.do === 'project') return this.#project(one.parts);
    const account = this.#accounts[one.who];
    if (account === undefined) throw new Error('a step of nobody');
    const app = APPS[one.who % APPS.length];
    // What the ledger refuses writes nothing: such a step checks that the read models stay as they are.
    const outcome = await this.#ask(account.name, app).execute(this.#command(one, account));
    if (outcome.kind === 'accepted') remember(account, outcome.event);
  }

  #ask(name: string, app: string | undefined): TestAccount {
    return bench.ledger.account(name, app);
  }

  #command(one: Exclude<Step, { do: 'wait' | 'project' }>, { holds, uses, lots, frozen }: Seen): AccountCommand {
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
      case 'charge': {
        const price = { ...PRICE, quantity: one.quantity };
        return { ...(one.held ? reserve({ amount: ZERO, ttl: MINUTE }) : use(ZERO)), amount: price, observed: true };
      }
      case 'refund':
        return refund(uses.at(-1 - one.use) ?? uses.at(-1) ?? one.use, one.amount as Micro);
      case 'debit':
        return {
          type: 'DebitCredits',
          amount: one.amount as Micro,
          reason: 'gift_created',
          reference: `${one.amount}`,
          ...UNSAID,
        };
      case 'doubt': {
        const { type } = one;
        const grants = type === 'UnfreezeGrant' ? frozen : lots;
        const about = { grant: grants.at(-1 - one.grant) ?? grants.at(-1) ?? one.grant, reference: 'dp_1' };
        return type === 'RevokeGrant' ? { type, ...about, amount: one.amount as Micro | null } : { type, ...about };
      }
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
    fc.asyncProperty(
      fc.array(step, { minLength: 80, maxLength: 140, size: 'max' }),
      fc.constantFrom(1, 2, 500),
      async (steps, together) => {
        const run = new Run(runs);
        runs += 1;
        for (const one of steps) await run.take(one);
        const { context } = bench.ledger;
        await projectFully(context, await heads(context));
        await expectAsFolded(context, bench.database.superuser, together);
      },
    ),
    { numRuns: RUNS, endOnFailure: true },
  );
  expect(runs).toBeGreaterThan(0);
  await expectAsInLog(bench.ledger.context, bench.database.superuser);
  const { rows } = await bench.database.superuser.query<{ type: string }>('select distinct type from ledger.events');
  // Whatever can happen to an account has happened.
  expect(rows.map(({ type }) => type).toSorted()).toEqual(Object.keys(accountSchemas).toSorted());
}, 120_000);
