import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, vi } from 'vitest';
import type { Store } from '../../../src/events/store.ts';
import { credits, grant, use } from '../../support/account-samples.ts';
import { createTestDatabase, type TestDatabase } from '../../support/database.ts';
import { eventOf, openWritePath, type WritePath } from '../../support/write-path.ts';

/* Write paths of several processes on one log, of which a test knows what was refused and what was followed. */

export type WatchedPaths = {
  readonly database: TestDatabase;
  /** Closed at the end of the test. */
  closing(one: { close(): Promise<void> }): void;
  /** Opens a write path; `before` stands between it and the store. Closed at the end of the test. */
  openPath(before?: (store: Store) => Store): Promise<Watched>;
};

/** A database for the tests of a file, and write paths on it. Its members may be used once the tests run. */
export function useWatchedPaths(): WatchedPaths {
  let database: TestDatabase | undefined;
  const open: { close(): Promise<void> }[] = [];
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });
  afterAll(async () => {
    await database?.close();
  });
  const there = (): TestDatabase => {
    if (database === undefined) throw new Error('the tests do not run yet');
    return database;
  };
  return {
    get database() {
      return there();
    },
    closing: (one) => void open.push(one),
    async openPath(before = (store) => store) {
      const watched = await openWatched(there().url, before);
      open.push(watched.path);
      return watched;
    },
  };
}

async function openWatched(url: string, before: (store: Store) => Store): Promise<Watched> {
  let refused = 0;
  const passed = new Set<string>();
  const watch = (store: Store): Store => ({
    ...store,
    async *subscribe(options) {
      for await (const advances of store.subscribe(options)) {
        yield advances;
        for (const { id } of advances) passed.add(id);
      }
    },
    async append(batches) {
      const results = await store.append(batches);
      refused += results.filter((result) => result.accepted === false && result.missing.length > 0).length;
      return results;
    },
  });
  const path = await openWritePath(url, { before: (store) => watch(before(store)) });
  return { path, refused: () => refused, passed };
}

/** In ms: a bound on what is waited for. */
export const PATIENCE = { timeout: 10_000, interval: 5 };

export type Watched = {
  readonly path: WritePath;
  /** How many batches of this one were refused so far since somebody else had written. */
  readonly refused: () => number;
  /** The ids of the events that this one has followed and is done with. */
  readonly passed: ReadonlySet<string>;
};

/**
 * Both use a user's credits by turns, the second one after the first; `attentively`: who follows, when it has seen what
 * the other wrote. Every answer must be what is left after all that were given before.
 */
export async function takeTurns(
  user: string,
  [first, second]: readonly [Watched, Watched],
  turns: number,
  how?: 'attentively',
): Promise<void> {
  let last = eventOf(await first.path.run(user, grant({ amount: credits(1_000), reference: randomUUID() })));
  for (let turn = 0; turn < turns; turn += 1) {
    const { path, passed } = turn % 2 === 0 ? second : first;
    const { id, data } = last;
    if (how === 'attentively' && path.handler.follower.isLive) await vi.waitUntil(() => passed.has(id), PATIENCE);
    last = eventOf(await path.run(user, use(credits(1))));
    expect(last.data.after.available).toBe(data.after.available - credits(1));
  }
}

/** Waits until a follower has brought up more than before. */
export async function broughtMore({ handler }: WritePath, before: number): Promise<void> {
  await vi.waitUntil(() => handler.follower.brought > before, PATIENCE);
}

/** Lets the second one know a user's account as the first one has left it. */
export async function known(first: WritePath, second: WritePath): Promise<string> {
  const user = randomUUID();
  await first.run(user, grant({ amount: credits(100), reference: randomUUID() }));
  await second.account(user);
  return user;
}

/** What an account has to spend, as a write path finds it at the head. */
export const availableOf = async (path: WritePath, user: string) => {
  const { state } = await path.account(user);
  return state.status === 'open' ? state.balances.available : undefined;
};
