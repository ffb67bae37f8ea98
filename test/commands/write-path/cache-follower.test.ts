import { randomUUID } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { accountStream } from '../../../src/events/account-events.ts';
import { credits, grant, use } from '../../support/account-samples.ts';
import { faultyStore } from '../../support/faulty-store.ts';
import { eventOf, startFollowing } from '../../support/write-path.ts';
import { availableOf, broughtMore, known, PATIENCE, takeTurns, useWatchedPaths } from './watched-paths.ts';

/*
 * Two processes that write the same accounts by turns. Where each follows what the other writes no append is refused any
 * more, and nothing is changed under a decision.
 */

const paths = useWatchedPaths();

describe('two that write the same account by turns', () => {
  it('meet a conflict at every turn where nobody follows', async () => {
    const [one, two] = [await paths.openPath(), await paths.openPath()];
    await takeTurns(randomUUID(), [one, two], 20);
    // But for the first, which loads what there is.
    expect(one.refused() + two.refused()).toBe(19);
    expect(one.path.handler.follower.isLive).toBe(false);
  });

  it('meet none where both follow', async () => {
    const [one, two] = [await paths.openPath(), await paths.openPath()];
    await Promise.all([startFollowing(one.path), startFollowing(two.path)]);
    await takeTurns(await known(one.path, two.path), [one, two], 20, 'attentively');
    expect(one.refused() + two.refused()).toBe(0);
  });

  it('begin to follow by themselves after a few conflicts, and meet none from then on', async () => {
    const [one, two] = [await paths.openPath(), await paths.openPath()];
    const followers = [one.path.handler.follower, two.path.handler.follower];
    for (const follower of followers) follower.start(() => undefined);
    await takeTurns(randomUUID(), [one, two], 8);
    await vi.waitUntil(() => followers.every(({ isLive }) => isLive), PATIENCE);
    const before = one.refused() + two.refused();
    await takeTurns(await known(one.path, two.path), [one, two], 20, 'attentively');
    expect(one.refused() + two.refused()).toBe(before);
  });
});

it('reads nothing of what it has written itself, nor of accounts it does not have at hand', async () => {
  const asked: string[] = [];
  const { path } = await paths.openPath((store) => ({
    ...store,
    readStreams: (ranges) => {
      asked.push(...ranges.map(({ stream }) => stream));
      return store.readStreams(ranges);
    },
  }));
  const { path: other } = await paths.openPath();
  await startFollowing(path);
  const own = randomUUID();
  await path.run(own, grant({ amount: credits(100) }));
  for (let count = 0; count < 30; count += 1) await path.run(own, use(credits(1)));
  const unknown = await known(other, other);
  const marker = await known(other, path);
  await other.run(marker, use(credits(1)));
  await broughtMore(path, 0);
  expect(path.handler.follower.brought).toBe(1);
  // The first reads load what a command asks for.
  expect(asked.filter((stream) => stream === accountStream(own))).toHaveLength(1);
  expect(asked).not.toContain(accountStream(unknown));
});

it('does not touch an account while something is decided on it', async () => {
  const faulty = faultyStore();
  const asked: string[] = [];
  const { path: here, refused } = await paths.openPath((store) =>
    faulty.before({
      ...store,
      readStreams: (ranges) => {
        asked.push(...ranges.map(({ stream }) => stream));
        return store.readStreams(ranges);
      },
    }),
  );
  const { path: there } = await paths.openPath();
  await startFollowing(here);
  const [busy, marker] = [await known(there, here), await known(there, here)];
  asked.length = 0;
  const letGo = faulty.hold();
  // Decided, and on its way to be confirmed at the head, which another moves meanwhile.
  const answer = availableOf(here, busy);
  await vi.waitUntil(() => faulty.appends.flat().filter(({ stream }) => stream === accountStream(busy)).length > 1, PATIENCE);
  await there.run(busy, use(credits(40)));
  await there.run(marker, use(credits(1)));
  await broughtMore(here, 0);
  expect(asked).toEqual([accountStream(marker)]);
  expect(refused()).toBe(0);
  letGo();
  expect(await answer).toBe(credits(60));
  expect(refused()).toBe(1);
  expect(await availableOf(here, busy)).toBe(credits(60));
  expect(refused()).toBe(1);
});

it('leaves an account alone that something is decided on since its events were asked for', async () => {
  const faulty = faultyStore();
  const reads: { count: number; gate: Promise<void> | undefined } = { count: 0, gate: undefined };
  const {
    path: here,
    refused,
    passed,
  } = await paths.openPath((store) =>
    faulty.before({
      ...store,
      async readStreams(ranges) {
        const events = await store.readStreams(ranges);
        reads.count += 1;
        await reads.gate;
        return events;
      },
    }),
  );
  const { path: there } = await paths.openPath();
  await startFollowing(here);
  const [user, marker] = [await known(there, here), await known(there, here)];
  let letRead = (): void => undefined;
  reads.gate = new Promise((resolve) => {
    letRead = resolve;
  });
  reads.count = 0;
  faulty.appends.length = 0;
  await there.run(user, use(credits(40)));
  await vi.waitUntil(() => reads.count === 1, PATIENCE);
  const letGo = faulty.hold();
  const answer = availableOf(here, user);
  await vi.waitUntil(() => faulty.appends.length === 1, PATIENCE);
  letRead();
  const { id } = eventOf(await there.run(marker, use(credits(1))));
  await vi.waitUntil(() => passed.has(id), PATIENCE);
  expect(here.handler.follower.brought).toBe(1);
  letGo();
  expect(await answer).toBe(credits(60));
  expect(refused()).toBe(1);
});
