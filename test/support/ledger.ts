import { randomUUID } from 'node:crypto';
import { type Logger, pino } from 'pino';
import { afterAll, beforeAll } from 'vitest';
import type { AccountCommand } from '../../src/commands/account-decider.ts';
import type { Account } from '../../src/commands/account.ts';
import type { GrantCredits } from '../../src/commands/grant-credits.ts';
import type { ReserveCredits } from '../../src/commands/reserve-credits.ts';
import type { Outcome } from '../../src/commands/write-path/envelope.ts';
import { readConfig } from '../../src/config.ts';
import { environmentOn } from './backends.ts';
import { type Context, createContext } from '../../src/context.ts';
import { type AccountEvent, type AccountEventOf, accountStream } from '../../src/events/account-events.ts';
import type { Micro } from '../../src/events/amounts.ts';
import { keyClaim } from '../../src/events/claims.ts';
import type { Recorded } from '../../src/events/event-types.ts';
import { commit, grant, reserve, use } from './account-samples.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

/** A ledger on a database, as a process would have it, whose clock a test may put forward. */
export type TestLedger = {
  readonly context: Context;
  /** Puts the clock of this ledger forward, in ms. It never goes back. */
  wait(milliseconds: number): void;
  /** A user's account as an app sees it. */
  account(user: string, app?: string): TestAccount;
  /** Finishes what is under way and gives the connections back. May be called twice. */
  close(): Promise<void>;
};

/** Commands of one account, each under a key of its own. What is refused throws; `execute` returns the refusal. */
export type TestAccount = {
  readonly stream: string;
  execute(command: AccountCommand): Promise<Outcome<Account, AccountEvent>>;
  grant(amount: Micro, what?: Partial<GrantCredits>): Promise<Recorded<AccountEventOf<'CreditsGranted'>>>;
  reserve(amount: Micro, what?: Partial<Omit<ReserveCredits, 'amount'>>): Promise<Recorded<AccountEventOf<'CreditsReserved'>>>;
  commit(hold: number, amount?: Micro): Promise<Recorded<AccountEventOf<'CreditsConsumed'>>>;
  release(hold: number): Promise<Recorded<AccountEventOf<'ReservationReleased'>>>;
  use(amount: Micro): Promise<Recorded<AccountEventOf<'CreditsConsumed'>>>;
  /** Writes down what has run out by now. */
  expire(): Promise<void>;
};

/** Puts a ledger together on a migrated database. Whoever calls closes it. */
export async function openLedger(url: string, { log = pino({ level: 'silent' }) }: { log?: Logger } = {}): Promise<TestLedger> {
  const context = await createContext(readConfig(environmentOn(url)), { log });
  let ahead = 0;
  const { clock } = context;
  const now = clock.now.bind(clock);
  // All parts of a context hold this one clock, so that what is changed here is changed for all.
  clock.now = () => now() + ahead;
  let closed: Promise<void> | undefined;
  return {
    context,
    wait(milliseconds) {
      ahead += milliseconds;
    },
    account: (user, app = 'writer') => testAccount(context, user, app),
    close: () => (closed ??= context.close()),
  };
}

function testAccount({ accounts }: Context, user: string, app: string): TestAccount {
  const stream = accountStream(user);
  const execute = (command: AccountCommand) => {
    const value = randomUUID();
    const request = { type: command.type, body: {} };
    return accounts.execute({
      stream,
      command,
      actor: { kind: 'service', app, key: 'test' },
      key: { value, claim: keyClaim(`app:${app}`, value), request },
      commandId: value,
      correlationId: value,
      causationId: null,
    });
  };
  const accepted = async <Type extends AccountEvent['type']>(type: Type, command: AccountCommand) => {
    const outcome = await execute(command);
    if (outcome.kind !== 'accepted' || outcome.event.type !== type) {
      throw new Error(`${command.type} of ${user}: ${outcome.kind === 'rejected' ? outcome.rejection.code : outcome.kind}`);
    }
    // The comparison above doesn't narrow a type that is a parameter.
    return outcome.event as Recorded<AccountEventOf<Type>>;
  };
  return {
    stream,
    execute,
    grant: (amount, what) => accepted('CreditsGranted', grant({ amount, reference: randomUUID(), ...what })),
    reserve: (amount, what) => accepted('CreditsReserved', reserve({ amount, ...what })),
    commit: (hold, amount) => accepted('CreditsConsumed', commit(hold, amount)),
    release: (hold) => accepted('ReservationReleased', { type: 'ReleaseReservation', reservation: hold, personal: null }),
    use: (amount) => accepted('CreditsConsumed', use(amount)),
    async expire() {
      await execute({ type: 'ExpireDue' });
    },
  };
}

/** What a test file has while its tests run. */
export type Bench = { readonly database: TestDatabase; readonly ledger: TestLedger };

/** A database and a ledger on it for all tests of a file. Its members may be used once the tests run. */
export function useLedger(): Bench {
  let database: TestDatabase | undefined;
  let ledger: TestLedger | undefined;
  beforeAll(async () => {
    database = await createTestDatabase();
    ledger = await openLedger(database.url);
  });
  afterAll(async () => {
    await ledger?.close();
    await database?.close();
  });
  return {
    get database() {
      if (database === undefined) throw new Error('the tests do not run yet');
      return database;
    },
    get ledger() {
      if (ledger === undefined) throw new Error('the tests do not run yet');
      return ledger;
    },
  };
}
