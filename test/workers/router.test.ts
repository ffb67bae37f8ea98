import { afterEach, describe, expect, it } from 'vitest';
import { pino } from 'pino';
import { project, type Signal } from '../../src/projections/project.ts';
import { countParked, findParked } from '../../src/projections/checkpoints.ts';
import { readAppliedPosition } from '../../src/projections/router-position.ts';
import { createProjector } from '../../src/workers/projector.ts';
import { openQueue, type SignalQueue, workQueue } from '../../src/workers/queues.ts';
import { route } from '../../src/workers/router.ts';
import { expectAsFolded, heads, projectFully } from '../projections/projecting.ts';
import { tamper } from '../projections/tampering.ts';
import { credits } from '../support/account-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { caughtUp, eventually, names, unapplied, work } from './working.ts';

const bench = useLedger();

const log = pino({ level: 'silent' });
const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** A router that sends where it is told. Returns what stops it. */
function startRouter(queue: SignalQueue): () => Promise<void> {
  const stop = new AbortController();
  const running = route({ ...bench.ledger.context, log, queue }, stop.signal);
  const stopped = async () => {
    stop.abort();
    await running;
  };
  closing.push(stopped);
  return stopped;
}

/** The real queue, and a projector behind it. */
function startQueue(handle = createProjector({ ...bench.ledger.context, log })): SignalQueue {
  const { queue: connection } = bench.ledger.context;
  const queue = openQueue(connection, log);
  const projector = workQueue(connection, { concurrency: 2, log }, handle);
  closing.push(
    () => queue.close(),
    () => projector.close(),
  );
  return queue;
}

/** A queue that hands each sending to somebody else first. */
function through(
  queue: SignalQueue,
  change: (partitions: readonly (readonly Signal[])[]) => readonly (readonly Signal[])[][],
): SignalQueue {
  return {
    close: () => queue.close(),
    async send(partitions) {
      for (const changed of change(partitions)) await queue.send(changed);
    },
  };
}

const closeAll = async () => {
  for (const close of closing.splice(0).toReversed()) await close();
};

describe('what becomes of signals', () => {
  it('two of three lost, once each: they are given again', async () => {
    const lost = new Set<string>();
    let count = 0;
    const loses = ({ stream, revision }: Signal): boolean => {
      const name = `${stream} ${revision}`;
      count += 1;
      return count % 3 !== 0 && !lost.has(name) && lost.add(name).has(name);
    };
    const lossy = through(startQueue(), (partitions) => [partitions.map((signals) => signals.filter((one) => !loses(one)))]);
    startRouter(lossy);
    await work(bench.ledger, names('lossy', 12));
    await caughtUp(bench.database.superuser);
    expect(lost.size).toBeGreaterThan(0);
    await closeAll();
    await expectAsFolded(bench.ledger.context, bench.database.superuser);
  });

  it('each repeated, and given again much later: nothing is applied twice', async () => {
    const old: (readonly Signal[])[] = [];
    const repeating = through(startQueue(), (partitions) => {
      old.push(...partitions);
      return [[...partitions], [...partitions, ...old.slice(0, 40)]];
    });
    startRouter(repeating);
    await work(bench.ledger, names('repeating', 12));
    await caughtUp(bench.database.superuser);
    await closeAll();
    await expectAsFolded(bench.ledger.context, bench.database.superuser);
  });

  it('held back and sent newest first: streams are applied in order all the same', async () => {
    let held: (readonly Signal[])[] = [];
    const reordering = through(startQueue(), (partitions) => {
      held.push(...partitions.map((signals) => signals.toReversed()));
      if (held.length < 12) return [];
      const all = held.toReversed();
      held = [];
      return [all];
    });
    startRouter(reordering);
    await work(bench.ledger, names('reordering', 12), 8);
    await caughtUp(bench.database.superuser);
    await closeAll();
    await expectAsFolded(bench.ledger.context, bench.database.superuser);
  });
});

describe('the position where the next router starts', () => {
  it('never moves past what is not applied, while a projector fails', async () => {
    const { context } = bench.ledger;
    const { superuser } = bench.database;
    const failing = 'account-failing';
    let refused = 0;
    const handle = async (signals: readonly Signal[]): Promise<void> => {
      await projectFully(
        context,
        signals.filter(({ stream }) => stream !== failing),
      );
      if (!signals.some(({ stream }) => stream === failing)) return;
      refused += 1;
      throw new Error('the database is busy');
    };
    startRouter(startQueue(handle));
    await bench.ledger.account('failing').grant(credits(5));
    await eventually(() => expect(refused).toBeGreaterThan(0));
    const before = await readAppliedPosition(context.db);
    await work(bench.ledger, names('unharmed', 10));
    await eventually(async () => expect((await unapplied(superuser)).all).toBe(2));
    expect(await unapplied(superuser)).toEqual({ all: 2, passedOver: 0 });
    expect(await readAppliedPosition(context.db)).toBe(before);

    // Another router, with projectors that work, begins at what is applied.
    await closeAll();
    startRouter(startQueue());
    await caughtUp(superuser);
    await closeAll();
    await expectAsFolded(context, superuser);
  });

  it('is left where it is by a router that can not send, and the router ends', async () => {
    const { context } = bench.ledger;
    const before = await readAppliedPosition(context.db);
    const queue: SignalQueue = { send: () => Promise.reject(new Error('the queue is away')), close: async () => undefined };
    await bench.ledger.account('unsent').grant(credits(1));
    await expect(route({ ...context, log, queue }, new AbortController().signal)).rejects.toThrow('the queue is away');
    expect(await readAppliedPosition(context.db)).toBe(before);
  });

  it('catches up with what was written while nobody routed', async () => {
    await work(bench.ledger, names('meanwhile', 10));
    startRouter(startQueue());
    await caughtUp(bench.database.superuser);
  });

  it('is the same for two routers at once', async () => {
    const queue = startQueue();
    startRouter(queue);
    startRouter(queue);
    await work(bench.ledger, names('both', 10));
    await caughtUp(bench.database.superuser);
    await closeAll();
    await expectAsFolded(bench.ledger.context, bench.database.superuser);
  });
});

describe('a parked stream', () => {
  it('holds nobody up, and goes on with a router that starts once its event can be read', async () => {
    const { context } = bench.ledger;
    const { superuser } = bench.database;
    const { stream } = bench.ledger.account('parked');
    await work(bench.ledger, ['parked']);
    const mend = await tamper(superuser, stream, 4, { type: 'FromTheFuture' });
    const alarms = rememberAlarms();
    startRouter(startQueue(createProjector({ ...context, log: alarms.log })));
    await eventually(async () => expect(await findParked(context.db, 10)).toEqual([{ stream, revision: 4 }]));
    await work(bench.ledger, names('not parked', 5));
    await caughtUp(superuser);
    expect(alarms.streams()).toContain(stream);
    await closeAll();

    await mend();
    startRouter(startQueue());
    await eventually(async () => expect(await countParked(context.db)).toBe(0));
    await caughtUp(superuser);
    await closeAll();
    await expectAsFolded(context, superuser);
  });
});

it('a projection of what is applied already does nothing', async () => {
  const { db, store } = bench.ledger.context;
  await projectFully({ db, store }, await heads({ store }));
  expect(await project(db, store, await heads({ store }))).toMatchObject({ applied: 0 });
});

/** A logger that remembers which streams an error was logged about. */
function rememberAlarms() {
  const lines: string[] = [];
  return {
    log: pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }),
    streams: () => lines.map((line) => (JSON.parse(line) as { stream?: string }).stream),
  };
}
