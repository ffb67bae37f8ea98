import { randomUUID } from 'node:crypto';
import { vi } from 'vitest';
import { accountDecider, type AccountCommand } from '../../src/commands/account-decider.ts';
import type { Account } from '../../src/commands/account.ts';
import { CommandHandler } from '../../src/commands/handle.ts';
import type { Envelope, Outcome } from '../../src/commands/write-path/envelope.ts';
import { GroupCommitter } from '../../src/commands/write-path/group-committer.ts';
import { servicePool, serviceClient } from '../../src/database.ts';
import { type AccountEvent, accountStream } from '../../src/events/account-events.ts';
import { type Clock, createClock } from '../../src/events/clock.ts';
import { type Recorded, SNAPSHOT_VERSION } from '../../src/events/event-types.ts';
import { readAccountEvent } from './read-account-event.ts';
import { createSnapshots, type Snapshots } from '../../src/events/postgres/snapshots.ts';
import { readConfig } from '../../src/config.ts';
import { openStore } from '../../src/open-store.ts';
import { createStreamLocks } from '../../src/events/postgres/stream-locks.ts';
import { createRequestHashes } from '../../src/events/request-hash.ts';
import type { Store } from '../../src/events/store.ts';
import { environmentOn } from './backends.ts';
import { envelopeOf } from './random-commands.ts';

type AccountOutcome = Outcome<Account, AccountEvent>;

/** A write path with pools, a store and a cache of its own: what one process has. */
export type WritePath = {
  readonly handler: CommandHandler<Account, AccountCommand, AccountEvent>;
  /** The store as it is, past whatever stands before it. */
  readonly store: Store;
  readonly snapshots: Snapshots;
  /** Runs a command of a user's account, under a key of its own where none is named. */
  run(user: string, command: AccountCommand, how?: { app?: string; key?: string; bytes?: number }): Promise<AccountOutcome>;
  execute(envelope: Envelope<AccountCommand>): Promise<AccountOutcome>;
  /** The account as the write path knows it at the stream's head. */
  account(user: string): Promise<{ readonly state: Account; readonly revision: number }>;
  close(): Promise<void>;
};

type Options = {
  /** What stands between the write path and the store. */
  readonly before?: (store: Store) => Store;
  /** The time, in ms since 1970; the database's where not given. */
  readonly now?: () => number;
};

/** Puts a write path together on a migrated database. Whoever calls closes it. */
export async function openWritePath(url: string, { before = (store) => store, now }: Options = {}): Promise<WritePath> {
  const pool = servicePool(url, 'write path', 8);
  const lockPool = servicePool(url, 'write path locks', 4);
  const clock: Clock = now === undefined ? await createClock(pool) : { now, close: () => undefined };
  const config = readConfig(environmentOn(url));
  const { store, close: closeStore } = await openStore(config, {
    pool,
    makeClient: () => serviceClient(url, 'write path listener'),
    onTrouble: () => undefined,
  });
  const snapshots = createSnapshots(pool, SNAPSHOT_VERSION);
  const hashes = await createRequestHashes(pool);
  const seen = before(store);
  const handler = new CommandHandler(accountDecider, {
    store: seen,
    committer: new GroupCommitter(seen, { inOrder: config.eventStoreUrl === undefined }),
    snapshots,
    locks: createStreamLocks(lockPool),
    clock,
    hashes,
    capacity: 10_000,
  });
  return {
    handler,
    store,
    snapshots,
    run: (user, command, { app = 'writer', key = randomUUID(), bytes = 0 } = {}) =>
      handler.execute({ ...envelopeOf(accountStream(user), command, { app, key, commandId: randomUUID() }), bytes }),
    execute: (envelope) => handler.execute(envelope),
    async account(user) {
      const ask = envelopeOf(accountStream(user), { type: 'ExpireDue' } as const, {
        app: 'writer',
        key: null,
        commandId: randomUUID(),
      });
      const outcome = await handler.execute(ask);
      if (outcome.kind !== 'unchanged') throw new Error(`asking for what is due was ${outcome.kind}`);
      return outcome;
    },
    async close() {
      await handler.close();
      clock.close();
      await closeStore();
      await Promise.all([pool.end(), lockPool.end()]);
    },
  };
}

/** Lets a write path follow what others write, from now on, as it does after some conflicts. Returns what made it end since. */
export async function startFollowing({ handler: { follower } }: WritePath): Promise<readonly unknown[]> {
  const lost: unknown[] = [];
  follower.start((error) => lost.push(error));
  for (let count = 0; count < 3; count += 1) follower.metConflict();
  await vi.waitUntil(() => follower.isLive || lost.length > 0, { timeout: 10_000, interval: 5 });
  return lost;
}

/** All events of a user's account, from the first on. */
export async function historyOf(store: Store, user: string): Promise<readonly Recorded<AccountEvent>[]> {
  const events: Recorded<AccountEvent>[] = [];
  for (;;) {
    const page = await store.readStream(accountStream(user), { from: events.length, limit: 1_000 });
    events.push(...page.map(readAccountEvent));
    if (page.length < 1_000) return events;
  }
}

/** The event that answered a command; throws where it was refused. */
export function eventOf(outcome: AccountOutcome): Recorded<AccountEvent> {
  if (outcome.kind !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(outcome)}`);
  return outcome.event;
}
