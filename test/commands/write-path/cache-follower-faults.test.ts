import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { CacheFollower } from '../../../src/commands/write-path/cache-follower.ts';
import type { StoredEvent } from '../../../src/events/event-types.ts';
import type { Advance } from '../../../src/events/store.ts';
import { credits, use } from '../../support/account-samples.ts';
import { testStore } from '../../support/database.ts';
import { startFollowing } from '../../support/write-path.ts';
import { availableOf, broughtMore, known, PATIENCE, takeTurns, useWatchedPaths } from './watched-paths.ts';

/* A process that follows what others write: late, in vain, not any more, or not yet. Every answer is the right one. */

const paths = useWatchedPaths();

describe('whatever becomes of the following, every answer is right', () => {
  it('late: what it comes with is old by then, and changes nothing', async () => {
    let letGo = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const here = await paths.openPath((store) => ({
      ...store,
      async *subscribe(options) {
        for await (const advances of store.subscribe(options)) {
          await gate;
          yield advances;
        }
      },
    }));
    const there = await paths.openPath();
    await startFollowing(here.path);
    const user = randomUUID();
    await takeTurns(user, [there, here], 13);
    expect(here.refused()).toBe(6);
    letGo();
    await takeTurns(user, [there, here], 7, 'attentively');
    // All but what came last: the state was as new already.
    expect(here.path.handler.follower.brought).toBe(4);
    expect(here.refused()).toBe(6);
  });

  it('stopped: conflicts tell again', async () => {
    const [here, there] = [await paths.openPath(), await paths.openPath()];
    await startFollowing(here.path);
    await here.path.handler.follower.close();
    expect(here.path.handler.follower.isLive).toBe(false);
    await takeTurns(randomUUID(), [here, there], 12);
    expect(here.refused()).toBe(6);
  });

  it('a subscription that fails is told of, and tried again when there are conflicts again', async () => {
    let works = false;
    const here = await paths.openPath((store) => ({
      ...store,
      subscribe: (options) => {
        if (!works) throw new Error('no subscription today');
        return store.subscribe(options);
      },
    }));
    const there = await paths.openPath();
    const lost = await startFollowing(here.path);
    expect(lost).toEqual([new Error('no subscription today')]);
    await takeTurns(randomUUID(), [here, there], 12);
    expect(here.refused()).toBe(6);
    await vi.waitUntil(() => lost.length > 1, PATIENCE);
    works = true;
    const before = lost.length;
    const { follower } = here.path.handler;
    await takeTurns(randomUUID(), [here, there], 12);
    await vi.waitUntil(() => follower.isLive, PATIENCE);
    expect(lost).toHaveLength(before);
  });

  const badReads: readonly (readonly [string, (read: Promise<readonly StoredEvent[]>) => Promise<readonly StoredEvent[]>])[] = [
    ['an event that it can not read', async (read) => (await read).map((event) => ({ ...event, type: 'FromTheFuture' }))],
    ['an event that does not follow', async (read) => (await read).map((event) => ({ ...event, revision: event.revision + 1 }))],
    ['a read that fails', (read) => read.then(() => Promise.reject(new Error('nothing is read today')))],
  ];

  it.each(badReads)('%s: the state is loaded anew', async (_, spoil) => {
    let spoilt = 0;
    let spoils = false;
    const here = await paths.openPath((store) => ({
      ...store,
      readStreams(ranges) {
        const read = store.readStreams(ranges);
        if (!spoils) return read;
        spoilt += 1;
        spoils = false;
        return spoil(read);
      },
    }));
    const there = await paths.openPath();
    await startFollowing(here.path);
    const user = await known(there.path, here.path);
    spoils = true;
    await there.path.run(user, use(credits(30)));
    await vi.waitUntil(() => spoilt === 1, PATIENCE);
    // Whatever is under way ends before the next look does.
    const marker = await known(there.path, here.path);
    await there.path.run(marker, use(credits(1)));
    await broughtMore(here.path, 0);
    expect(await availableOf(here.path, user)).toBe(credits(70));
    // It was not at hand any more, or else the append would have been refused.
    expect(here.refused()).toBe(0);
  });

  it('an account that is far behind is left to a conflict', async () => {
    let together = 1;
    const here = await paths.openPath((store) => ({
      ...store,
      // A store may tell of one append piece by piece.
      async *subscribe(options) {
        const waiting: Advance[] = [];
        for await (const advances of store.subscribe(options)) {
          waiting.push(...advances);
          if (waiting.length >= together) yield waiting.splice(0);
        }
      },
    }));
    const there = await paths.openPath();
    const user = await known(there.path, here.path);
    const marker = await known(there.path, here.path);
    await startFollowing(here.path);
    // More at once than is worth reading behind, and the other account's one.
    together = 121;
    await Promise.all(Array.from({ length: 120 }, () => there.path.run(user, use(credits(0.5)))));
    await there.path.run(marker, use(credits(1)));
    await broughtMore(here.path, 0);
    expect(await availableOf(here.path, user)).toBe(credits(40));
    expect(here.path.handler.follower.brought).toBe(1);
    expect(here.refused()).toBe(1);
  });
});

describe('where nobody else writes', () => {
  it('it ends after a while with its connection, and begins again with the next conflicts', async () => {
    const log = testStore(paths.database.url, 'quiet');
    paths.closing(log);
    const states = { idleRevision: () => undefined, bring: () => 0, forgetIdle: () => undefined };
    const follower = new CacheFollower({ store: log.store, states, quietAfter: 300 });
    paths.closing(follower);
    const lost: unknown[] = [];
    follower.start((error) => lost.push(error));
    const listeners = async () => {
      const { rowCount } = await paths.database.superuser.query(
        `select from pg_stat_activity where application_name = 'mana-credits quiet listener' and datname = current_database()`,
      );
      return rowCount;
    };
    for (let times = 0; times < 2; times += 1) {
      for (let count = 0; count < 3; count += 1) follower.metConflict();
      // As long as there are conflicts it goes on, however long the connection takes.
      await vi.waitFor(async () => {
        follower.metConflict();
        expect(await listeners()).toBe(1);
      }, PATIENCE);
      await vi.waitUntil(() => !follower.isLive, PATIENCE);
      await vi.waitFor(async () => expect(await listeners()).toBe(0), PATIENCE);
    }
    expect(lost).toEqual([]);
  });

  it('two conflicts do not make it begin', async () => {
    const asked = vi.fn<() => Promise<string>>(async () => delay(0, '0'));
    const log = testStore(paths.database.url, 'still');
    paths.closing(log);
    const states = { idleRevision: () => undefined, bring: () => 0, forgetIdle: () => undefined };
    const follower = new CacheFollower({ store: { ...log.store, lastPosition: asked }, states });
    paths.closing(follower);
    for (let count = 0; count < 3; count += 1) follower.metConflict();
    follower.start(() => undefined);
    for (let count = 0; count < 2; count += 1) follower.metConflict();
    expect(asked).not.toHaveBeenCalled();
    expect(follower.conflicts).toBe(5);
    follower.metConflict();
    expect(asked).toHaveBeenCalledTimes(1);
  });
});
