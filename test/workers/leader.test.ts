import { afterEach, describe, expect, it } from 'vitest';
import { pino } from 'pino';
import { serviceClient } from '../../src/database.ts';
import { lead } from '../../src/workers/leader.ts';
import { useLedger } from '../support/ledger.ts';
import { eventually, openWorkers, startWorkerProcess } from './working.ts';

const bench = useLedger();

const LOCK = 4_711;
const log = pino({ level: 'silent' });
const candidates: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(candidates.splice(0).map((one) => one.close()));
});

/** Who leads now, by name. */
const leading = new Set<string>();

/** Somebody who would lead, and does so until told to stop. */
function candidate(name: string, lock = LOCK): { close(): Promise<void> } {
  const makeClient = () => serviceClient(bench.database.url, name);
  const one = lead({ lock, makeClient, log }, async (signal) => {
    leading.add(name);
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    leading.delete(name);
  });
  candidates.push(one);
  return one;
}

/** Ends the connection of whoever holds a lock. */
async function terminateLeader(lock: number): Promise<void> {
  await bench.database.superuser.query(
    `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = $1 and granted
       and database = (select oid from pg_database where datname = current_database())`,
    [lock],
  );
}

/** The process that holds a lock, undefined where nobody does. */
async function holderOf(lock: number): Promise<number | undefined> {
  const { rows } = await bench.database.superuser.query<{ pid: number }>(
    `select pid from pg_locks where locktype = 'advisory' and objid = $1 and granted
       and database = (select oid from pg_database where datname = current_database())`,
    [lock],
  );
  return rows[0]?.pid;
}

const sole = async (): Promise<string> => {
  let name: string | undefined;
  await eventually(() => {
    expect(leading.size).toBe(1);
    [name] = leading;
  });
  return name ?? '';
};

describe('of two who would lead', () => {
  it('one does, and the other when the first one stops', async () => {
    const first = candidate('first');
    const second = candidate('second');
    const leader = await sole();
    await (leader === 'first' ? first : second).close();
    expect(leading).not.toContain(leader);
    await eventually(() => expect([...leading]).toEqual([leader === 'first' ? 'second' : 'first']));
  });

  it('one does again when the connection of the leader is cut, and its duty was told to stop', async () => {
    candidate('third');
    candidate('fourth');
    const former = await sole();
    // The one who lost its connection may win once more; the other follows all the same.
    await eventually(async () => {
      if (leading.has(former)) await terminateLeader(LOCK);
      expect([...leading]).toEqual([former === 'third' ? 'fourth' : 'third']);
    });
  });
});

it('who fails at its duty tries again', async () => {
  let terms = 0;
  const makeClient = () => serviceClient(bench.database.url, 'failing');
  candidates.push(
    lead({ lock: LOCK, makeClient, log }, async () => {
      terms += 1;
      throw new Error('nothing works today');
    }),
  );
  await eventually(() => expect(terms).toBeGreaterThan(1));
});

it('who can not reach the database tries on, and can be closed', async () => {
  let tries = 0;
  const makeClient = () => {
    tries += 1;
    return serviceClient('postgres://nobody@127.0.0.1:1/none', 'lost');
  };
  const one = lead({ lock: LOCK, makeClient, log }, async () => undefined);
  await eventually(() => expect(tries).toBeGreaterThan(1));
  await one.close();
});

it('who is killed is followed by another', async () => {
  const ROUTER_LOCK = 7_041_852;
  const killed = await startWorkerProcess(bench.database.url);
  try {
    await eventually(async () => expect(await holderOf(ROUTER_LOCK)).toBeDefined());
    const former = await holderOf(ROUTER_LOCK);
    candidates.push(await openWorkers(bench.database.url));
    await killed.kill();
    await eventually(async () => {
      const now = await holderOf(ROUTER_LOCK);
      expect(now).toBeDefined();
      expect(now).not.toBe(former);
    });
  } finally {
    await killed.kill();
  }
});
