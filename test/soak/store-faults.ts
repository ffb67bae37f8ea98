import { setTimeout as delay } from 'node:timers/promises';
import { startKurrentDouble } from '../support/kurrent/double.ts';
import { tcpProxy } from '../support/tcp-proxy.ts';
import type { Random } from './random.ts';

/** Something that goes wrong for a while: `strike` resolves when it is over, or when what is left of it ends by itself. */
export type Trouble = { readonly name: string; readonly weight: number; readonly strike: (random: Random) => Promise<unknown> };

/** Where the log is kept, with what can go wrong there. */
export type StoreUnderFire = {
  /** What tells the service of it. */
  readonly env: Readonly<Record<string, string>>;
  readonly troubles: readonly Trouble[];
  /** Ends all that is wrong. */
  heal(): Promise<void>;
  close(): Promise<void>;
};

export type StoreKind = 'kurrent' | 'postgres';

/** Opens where the log is to be kept: with `kurrent` the server at EVENTSTORE_URL behind a proxy, or else a double. */
export async function openStoreUnderFire(kind: StoreKind): Promise<StoreUnderFire> {
  const url = process.env['EVENTSTORE_URL'];
  if (kind === 'postgres') return { env: {}, troubles: [], heal: async () => undefined, close: async () => undefined };
  return url === undefined || url === '' ? doubleUnderFire() : serverUnderFire(url);
}

const APPENDS = ['append'] as const;
const READS = ['read'] as const;

async function doubleUnderFire(): Promise<StoreUnderFire> {
  const double = await startKurrentDouble();
  const { faults } = double;
  const once = (name: string, strike: (random: Random) => unknown): Trouble => ({
    name: `store: ${name}`,
    weight: 1,
    strike: async (random) => strike(random),
  });
  /** Wrong for so long, and then no more. */
  const meanwhile = (name: string, begin: () => () => unknown, least: number, most: number): Trouble => ({
    name: `store: ${name}`,
    weight: 1,
    async strike(random) {
      const end = begin();
      await delay(random.between(least, most));
      end();
    },
  });
  return {
    env: { EVENTSTORE_URL: double.url },
    troubles: [
      once('appends hang', (random) => faults.hang({ operations: APPENDS, times: random.between(1, 10) })),
      once('reads hang', (random) => faults.hang({ operations: READS, times: random.between(1, 3) })),
      once('answers are lost', (random) => faults.loseAnswer({ operations: APPENDS, times: random.between(1, 10) })),
      once('calls drop their connection', (random) => faults.drop({ times: random.between(1, 4) })),
      once('connections drop', () => faults.dropConnections()),
      once('answers are late', (random) => faults.late(random.between(200, 1_500), { times: random.between(1, 50) })),
      once('appends time out and are not written', (random) => faults.timeout(false, { times: random.between(1, 10) })),
      once('appends time out and are written', (random) => faults.timeout(true, { times: random.between(1, 10) })),
      once('reads are cut', (random) => faults.cut(random.below(6), { operations: READS, times: random.between(1, 4) })),
      once('too busy', (random) => faults.busy({ times: random.between(1, 20) })),
      once('subscriptions end', () => faults.endSubscriptions()),
      once('subscriptions are too slow', () => faults.slowSubscriptions()),
      once('subscriptions fall behind', () => faults.fallBehind()),
      meanwhile('frozen', () => (faults.freeze(), () => faults.thaw()), 1_000, 3_000),
      meanwhile('not ready', () => faults.notReady().clear, 300, 1_500),
      {
        name: 'store: stopped and started',
        weight: 2,
        async strike(random) {
          await double.stop();
          await delay(random.between(200, 2_000));
          await double.start();
        },
      },
    ],
    async heal() {
      faults.clear();
      await double.start();
    },
    close: () => double.close(),
  };
}

/** A real server: what can be done to it from outside is done to the way there. */
async function serverUnderFire(target: string): Promise<StoreUnderFire> {
  const proxy = await tcpProxy(target);
  const prefix = `soak-${process.pid}-${Date.now()}.`;
  let isCut = false;
  const restore = async (): Promise<void> => {
    if (isCut) await proxy.restore();
    isCut = false;
  };
  const cut = async (): Promise<void> => {
    isCut = true;
    await proxy.cut();
  };
  return {
    env: { EVENTSTORE_URL: proxy.url, EVENTSTORE_PREFIX: prefix },
    troubles: [
      { name: 'store: connections drop', weight: 3, strike: async () => (await cut(), restore()) },
      { name: 'store: answers are lost', weight: 4, strike: () => Promise.race([proxy.cutAtNextAnswer(), delay(1_000)]) },
      {
        name: 'store: away',
        weight: 3,
        strike: async (random) => (await cut(), await delay(random.between(200, 2_000)), restore()),
      },
      {
        name: 'store: silent',
        weight: 4,
        async strike(random) {
          proxy.hold();
          await delay(random.between(1_000, 3_000));
          proxy.resume();
        },
      },
    ],
    async heal() {
      proxy.resume();
      await restore();
    },
    close: () => proxy.close(),
  };
}
