import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { priceOf } from '../../../src/commands/catalogue.ts';
import { CatalogueFollower } from '../../../src/commands/write-path/catalogue-follower.ts';
import { micro } from '../../../src/events/amounts.ts';
import { SNAPSHOT_VERSION } from '../../../src/events/event-types.ts';
import { createSnapshots } from '../../../src/events/postgres/snapshots.ts';
import { type Store, StoreUnavailableError } from '../../../src/events/store.ts';
import { change, price } from '../../support/catalogue-samples.ts';
import { createTestDatabase, type TestDatabase, type TestStore } from '../../support/database.ts';
import { faultyStore } from '../../support/faulty-store.ts';
import { openLedger, type TestLedger } from '../../support/ledger.ts';
import { openLogOf } from '../../support/log-of.ts';

/* What a process knows of the catalogue: never more than a second old, whoever changed it. */

let database: TestDatabase;
let log: TestStore;
let here: TestLedger;
let there: TestLedger;
const followers: CatalogueFollower[] = [];

beforeAll(async () => {
  database = await createTestDatabase();
  log = await openLogOf(database.url, 'follower');
  here = await openLedger(database.url);
  there = await openLedger(database.url);
});

afterEach(async () => {
  for (const one of followers.splice(0)) await one.close();
});

afterAll(async () => {
  await here?.close();
  await there?.close();
  await log?.close();
  await database?.close();
});

/** A follower of its own; it looks only when it is asked to where `start` is not called. */
function follow({ before = (store: Store) => store, now }: { before?: (store: Store) => Store; now?: () => number } = {}) {
  const lost: unknown[] = [];
  const follower = new CatalogueFollower({
    store: before(log.store),
    snapshots: createSnapshots(log.pool, SNAPSHOT_VERSION),
    onLost: (error) => lost.push(error),
    ...(now && { now }),
  });
  followers.push(follower);
  return { follower, lost };
}

const costOf = (follower: Pick<CatalogueFollower, 'current'>, operation: string) =>
  priceOf(follower.current(), 'picture', operation)?.cost;

it('knows an empty catalogue', () => {
  const { catalogue } = here.context;
  expect(catalogue.current()).toEqual({ operations: [], packages: [], modes: [] });
  expect(catalogue.revision).toBe(-1);
});

it('knows a change of its own process when the command has answered', async () => {
  const outcome = await change(here.context, price({ operation: 'own' }));
  expect(costOf(here.context.catalogue, 'own')).toBe(10_000_000);
  expect(outcome).toMatchObject({ kind: 'accepted', event: { revision: here.context.catalogue.revision } });
});

it('sees a change of another process without being asked', async () => {
  const { catalogue } = here.context;
  for (const cost of [micro(7), micro(8)]) {
    await change(there.context, price({ operation: 'far', cost }));
    const isSeen = () => priceOf(catalogue.latest(), 'picture', 'far')?.cost === cost;
    await vi.waitUntil(isSeen, { timeout: 10_000, interval: 20 });
  }
});

describe('where the log does not answer', () => {
  it('says for a second what it knows, then nothing, and all again when the log is back', async () => {
    let now = 5_000;
    const faulty = faultyStore();
    const { follower, lost } = follow({ before: faulty.before, now: () => now });
    await follower.refresh();
    expect(costOf(follower, 'own')).toBe(10_000_000);
    faulty.down = true;
    now += 1_000;
    await follower.refresh();
    expect(costOf(follower, 'own')).toBe(10_000_000);
    now += 1;
    await follower.refresh();
    expect(() => follower.current()).toThrow(StoreUnavailableError);
    // What needs no price goes on, with what was known.
    expect(priceOf(follower.latest(), 'picture', 'own')?.cost).toBe(10_000_000);
    faulty.down = false;
    await follower.refresh();
    expect(costOf(follower, 'own')).toBe(10_000_000);
    // An alarm when it is lost, not at every look.
    expect(lost).toHaveLength(1);
  });

  it('says nothing where it has never seen it', async () => {
    const faulty = faultyStore();
    faulty.down = true;
    const { follower, lost } = follow({ before: faulty.before });
    await follower.start();
    expect(() => follower.current()).toThrow(StoreUnavailableError);
    expect(follower.latest().operations).toEqual([]);
    expect(lost).toHaveLength(1);
    faulty.down = false;
    await vi.waitUntil(() => follower.latest().operations.length > 0, { timeout: 10_000, interval: 20 });
    expect(costOf(follower, 'own')).toBe(10_000_000);
  });

  it('takes a look for as old as its beginning', async () => {
    let now = 0;
    // The look takes longer than what it brings is good for.
    const slow = (store: Store): Store => ({
      ...store,
      readStream: (...of) => {
        now += 1_001;
        return store.readStream(...of);
      },
    });
    const { follower } = follow({ before: slow, now: () => now });
    await follower.refresh();
    expect(costOf(follower, 'own')).toBe(10_000_000);
    await follower.refresh();
    expect(() => follower.current()).toThrow(StoreUnavailableError);
  });
});

describe('looks', () => {
  /** Lets looks at the tail wait until they are let go, and counts them. */
  function gated() {
    const waiting: (() => void)[] = [];
    let most = 0;
    let underWay = 0;
    const before = (store: Store): Store => ({
      ...store,
      readStream: async (...of) => {
        underWay += 1;
        most = Math.max(most, underWay);
        const page = await store.readStream(...of);
        await new Promise<void>((resolve) => waiting.push(resolve));
        underWay -= 1;
        return page;
      },
    });
    return { before, waiting, most: () => most };
  }

  it('never overlap, and whoever asks during one is told what was written before', async () => {
    const { before, waiting, most } = gated();
    const { follower } = follow({ before });
    await follower.refresh();
    const first = follower.refresh();
    await vi.waitUntil(() => waiting.length === 1);
    // The look that is under way has read its page: it can't see this.
    await change(there.context, price({ operation: 'late' }));
    const others = Promise.all([follower.refresh(), follower.refresh(), follower.refresh()]);
    waiting.shift()?.();
    await first;
    expect(costOf(follower, 'late')).toBeUndefined();
    await vi.waitUntil(() => waiting.length === 1);
    waiting.shift()?.();
    await others;
    expect(costOf(follower, 'late')).toBe(10_000_000);
    expect({ most: most(), left: waiting.length }).toEqual({ most: 1, left: 0 });
  });

  /** Counts looks at the tail. */
  function counted() {
    const looks = { count: 0 };
    const before = (store: Store): Store => ({
      ...store,
      readStream: (...of) => {
        looks.count += 1;
        return store.readStream(...of);
      },
    });
    return { looks, ...follow({ before }) };
  }

  it('end when it is closed', async () => {
    const closed = counted();
    await closed.follower.start();
    await vi.waitUntil(() => closed.looks.count > 0, { timeout: 10_000, interval: 20 });
    await closed.follower.close();
    const { count } = closed.looks;
    // Another one tells how long is long enough.
    const other = counted();
    await other.follower.start();
    await vi.waitUntil(() => other.looks.count >= 3, { timeout: 10_000, interval: 20 });
    expect(closed.looks.count).toBe(count);
  });

  it('bring in what lies further behind than a page, and start from a snapshot', async () => {
    const { follower } = follow();
    await follower.refresh();
    await Promise.all(
      Array.from({ length: 1_100 }, (_, n) => change(there.context, price({ operation: `bulk ${n}`, cost: micro(n) }))),
    );
    await follower.refresh();
    expect(costOf(follower, 'bulk 1099')).toBe(1_099);
    expect(follower.current()).toEqual(there.context.catalogue.latest());
    const snapshot = async () => {
      const { rows } = await database.superuser.query<{ revision: string }>(
        `select revision from ledger.snapshots where stream = 'catalogue'`,
      );
      return Number(rows[0]?.revision ?? -1);
    };
    await vi.waitUntil(async () => (await snapshot()) > 0, { timeout: 10_000, interval: 20 });
    const from: number[] = [];
    const watched = (store: Store): Store => ({
      ...store,
      readStreams: (ranges) => {
        from.push(...ranges.map((range) => range.from));
        return store.readStreams(ranges);
      },
    });
    const second = follow({ before: watched }).follower;
    await second.refresh();
    expect(second.current()).toEqual(follower.latest());
    expect(from[0]).toBeGreaterThan(0);
  });
});

it('an account by the name of the catalogue is an account', async () => {
  const account = here.account('catalogue');
  // What tests before this one changed through others, it may not have seen yet.
  await here.context.catalogue.refresh();
  const before = here.context.catalogue.revision;
  await account.grant(micro(5));
  for (let count = 0; count < 105; count += 1) await account.use(micro(0));
  const { rows } = await vi.waitUntil(
    async () => {
      const found = await database.superuser.query<{ stream: string }>('select stream from ledger.snapshots order by stream');
      return found.rows.length === 2 && found;
    },
    { timeout: 10_000, interval: 20 },
  );
  expect(rows.map(({ stream }) => stream)).toEqual(['account-catalogue', 'catalogue']);
  const again = await openLedger(database.url);
  try {
    expect(again.context.catalogue.revision).toBe(before);
    const state = await again.account('catalogue').execute({ type: 'ExpireDue' });
    expect(state).toMatchObject({ kind: 'unchanged', state: { status: 'open', balances: { available: 5 } } });
    expect(await change(again.context, price({ operation: 'own' }))).toMatchObject({ kind: 'unchanged' });
  } finally {
    await again.close();
  }
});
