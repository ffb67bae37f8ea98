import { setTimeout as delay } from 'node:timers/promises';
import type { ServiceProcess } from './process.ts';
import type { Random } from './random.ts';
import type { StoreKind, StoreUnderFire, Trouble } from './store-faults.ts';
import type { World } from './world.ts';

/*
 * What goes wrong: one thing every few seconds, drawn by a seed. Only so much at a time that the service can go on: of
 * two APIs one is left, and what is away comes back within seconds.
 */

/** In ms, between two troubles. */
const REST_LEAST = 1_000;
const REST_MOST = 5_000;

export type Chaos = {
  /** How often each trouble struck. */
  readonly struck: ReadonlyMap<string, number>;
  /** What ended otherwise than it should have when it was told to end. */
  readonly unclean: readonly string[];
  /** Lets nothing more go wrong. */
  halt(): void;
  /** Ends it and all that is wrong: resolves when every process runs again. */
  stop(): Promise<void>;
};

/** Lets things go wrong until it is stopped. `onFault` is told of what does not come back. */
export function letLoose(options: {
  readonly world: World;
  readonly store: StoreUnderFire;
  readonly kind: StoreKind;
  readonly random: Random;
  readonly onFault: (error: Error) => void;
}): Chaos {
  const { world, store, kind, random, onFault } = options;
  const struck = new Map<string, number>();
  const unclean: string[] = [];
  const returning = new Set<Promise<void>>();
  const stopped = new AbortController();
  /** A process that was ended begins again while other things go wrong. */
  const comeBack = (process: ServiceProcess): void => {
    const coming = process
      .start()
      .catch((error: unknown) => onFault(error instanceof Error ? error : new Error(String(error))))
      .finally(() => returning.delete(coming));
    returning.add(coming);
  };
  const troubles = [...ofProcesses(world, comeBack, unclean), ...ofRedis(world), ...ofPostgres(world, kind), ...store.troubles];
  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await delay(random.between(REST_LEAST, REST_MOST), undefined, { signal: stopped.signal }).catch(() => undefined);
      if (stopped.signal.aborted) return;
      const trouble = random.weighted(troubles);
      if ((await trouble.strike(random)) === UNFIT) continue;
      struck.set(trouble.name, (struck.get(trouble.name) ?? 0) + 1);
    }
  };
  const running = run().catch((error: unknown) => onFault(error instanceof Error ? error : new Error(String(error))));
  return {
    struck,
    unclean,
    halt: () => stopped.abort(),
    async stop() {
      stopped.abort();
      await running;
      await store.heal();
      world.redis.resume();
      await world.redis.start();
      await Promise.all(returning);
    },
  };
}

/** Nothing was done: too much is wrong already. */
const UNFIT = Symbol('unfit');

function ofProcesses(
  { apis, workers }: World,
  comeBack: (process: ServiceProcess) => void,
  unclean: string[],
): readonly Trouble[] {
  const kill = (processes: readonly ServiceProcess[]) => async (random: Random) => {
    const one = random.pick(processes);
    if (!processes.every(({ isUp }) => isUp)) return UNFIT;
    await one.kill();
    return comeBack(one);
  };
  const restart = (processes: readonly ServiceProcess[]) => async (random: Random) => {
    const one = random.pick(processes);
    if (!processes.every(({ isUp }) => isUp)) return UNFIT;
    const code = await one.stop();
    if (code !== 0) unclean.push(`${one.name} ended with ${code} when told to end`);
    return comeBack(one);
  };
  return [
    { name: 'API killed', weight: 4, strike: kill(apis) },
    { name: 'worker killed', weight: 4, strike: kill(workers) },
    { name: 'API restarted', weight: 2, strike: restart(apis) },
    { name: 'worker restarted', weight: 2, strike: restart(workers) },
  ];
}

function ofRedis({ redis }: World): readonly Trouble[] {
  return [
    { name: 'Redis flushed', weight: 2, strike: () => redis.flush() },
    {
      name: 'Redis killed and started',
      weight: 2,
      async strike(random) {
        await redis.kill();
        await delay(random.between(0, 1_000));
        await redis.start();
      },
    },
    {
      name: 'Redis paused',
      weight: 2,
      async strike(random) {
        redis.pause();
        await delay(random.between(1_000, 3_000));
        redis.resume();
      },
    },
  ];
}

/** Connections of the service, each as likely as the argument says. */
const OF_SERVICE = `from pg_stat_activity where application_name like 'mana-credits %' and backend_type = 'client backend'`;

function ofPostgres({ asSuperuser }: World, kind: StoreKind): readonly Trouble[] {
  return [
    {
      name: 'Postgres ends connections',
      // Where it is the store as well, these are the store's faults.
      weight: kind === 'postgres' ? 10 : 3,
      strike: (random) =>
        asSuperuser((superuser) =>
          superuser.query(`select pg_terminate_backend(pid) ${OF_SERVICE} and random() < $1`, [random.pick([0.1, 0.5, 1])]),
        ),
    },
    {
      name: 'Postgres killed and recovered',
      weight: kind === 'postgres' ? 5 : 1,
      // One of its processes gone without a word is a crash to it: it ends all others and begins again from its log.
      async strike(random) {
        const { rows } = await asSuperuser((superuser) =>
          superuser.query<{ pid: number }>(`select pid ${OF_SERVICE} order by pid limit 100`),
        );
        if (rows.length === 0) return UNFIT;
        return killIfThere(random.pick(rows).pid);
      },
    },
  ];
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // A connection may have ended since it was looked up.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
