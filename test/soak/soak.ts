import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Chaos, letLoose } from './chaos.ts';
import { checkApplied, checkLog, checkReadModels, checkRepeats, checkVerified, type Inspection, inspect } from './checks.ts';
import { type Clients, startClients } from './clients.ts';
import { showProgress, summaryOf } from './progress.ts';
import { randomOf } from './random.ts';
import { openStoreUnderFire, type StoreKind, type StoreUnderFire } from './store-faults.ts';
import { openWire, type Wire } from './wire.ts';
import { startWorld, type World } from './world.ts';

/*
 * Random commands through two APIs and two workers while everything around them goes wrong; and then a look whether
 * anything acknowledged is missing, anything is there twice, and every read model is the fold of the log:
 *
 *   npm run soak -- [--minutes 10] [--on kurrent|postgres] [--seed n]
 *
 * With EVENTSTORE_URL the log is in that server, and only the way there goes wrong. It ends with 0, or with 1 and what is
 * not so. The seed draws what is sent and what goes wrong; when each meets the other, the machine decides.
 */

const CLIENTS = 24;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    on: { type: 'string', default: 'kurrent' },
    seed: { type: 'string', default: String(randomInt(1_000_000_000)) },
  },
});
process.exitCode = await main({
  minutes: numberFrom('minutes', values.minutes),
  kind: kindFrom(values.on),
  seed: numberFrom('seed', values.seed),
});

type Settings = { readonly minutes: number; readonly kind: StoreKind; readonly seed: number };

async function main({ minutes, kind, seed }: Settings): Promise<number> {
  say(`seed ${seed}: npm run soak -- --minutes ${minutes} --on ${kind} --seed ${seed}`);
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  // Heard by whoever races with it, whenever that is.
  failed.catch(() => undefined);
  const store = await openStoreUnderFire(kind);
  let world: World | undefined;
  let problems: readonly string[] = [];
  try {
    world = await startWorld(store.env, (error) => fail(error));
    problems = await soak({ minutes, kind, seed, store, world, fail, failed });
  } catch (error) {
    problems = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
  }
  const keeps = problems.length > 0;
  const left = (await world?.stop(keeps)) ?? [];
  await store.close();
  const all = [...problems, ...left.map((pid) => `process ${pid} is left`)];
  say(`no process is left: ${left.length === 0 ? 'yes' : 'NO'}`);
  for (const problem of all) process.stdout.write(`${problem}\n`);
  if (keeps && world !== undefined) say(`what the processes logged is in ${world.folder}`);
  say(all.length === 0 ? `sound after ${minutes} minutes, seed ${seed}` : `${all.length} problems, seed ${seed}`);
  return all.length === 0 ? 0 : 1;
}

type Running = Settings & {
  readonly store: StoreUnderFire;
  readonly world: World;
  readonly fail: (error: Error) => void;
  /** Rejects with the first fault. */
  readonly failed: Promise<never>;
};

/** The storm, and what must be so when it is over. Returns what is not. Rejects with what may not even happen meanwhile. */
async function soak(running: Running): Promise<readonly string[]> {
  const { minutes, kind, seed, store, world, fail, failed } = running;
  const wire = openWire(world.urls);
  let halt: () => void = () => undefined;
  try {
    const clients = await startClients(wire, { count: CLIENTS, seed });
    clients.ended.catch((error: Error) => fail(error));
    const chaos = letLoose({ world, store, kind, random: randomOf(seed, 'chaos'), onFault: fail });
    const progress = showProgress({ clients, chaos, wire }, fail);
    halt = () => {
      clients.stop();
      chaos.halt();
      progress.stop();
    };
    await Promise.race([delay(minutes * 60_000), failed]);
    await chaos.stop();
    clients.stop();
    await Promise.race([clients.ended, failed]);
    progress.stop();
    say(summaryOf(clients, wire));
    for (const [name, times] of [...chaos.struck].toSorted(([a], [b]) => a.localeCompare(b))) say(`  ${times} × ${name}`);
    return await Promise.race([checkAll(running, { clients, chaos, wire }), failed]);
  } finally {
    halt();
    wire.close();
  }
}

async function checkAll(
  { kind, seed, store, world }: Running,
  { clients, chaos, wire }: { readonly clients: Clients; readonly chaos: Chaos; readonly wire: Wire },
): Promise<readonly string[]> {
  const { sent, accounts } = clients;
  const inspection: Inspection = await inspect(world.databaseUrl, store.env);
  const problems: string[] = [];
  const check = (what: string, findings: readonly string[]): void => {
    say(`${what}: ${findings.length === 0 ? 'yes' : 'NO'}`);
    problems.push(...findings.map((finding) => `${what}: NO: ${finding}`));
  };
  try {
    check('what was told to end ended in order', chaos.unclean);
    const before = await checkLog(inspection.store, sent, accounts);
    check(`${sent.length} commands stand in ${before.log.events} events as they were answered`, before.findings);
    const written = before.log.keys;
    const repeats = await checkRepeats(wire, { sent, written, random: randomOf(seed, 'repeats') });
    check(`${repeats.count} keys give again what they gave`, repeats.findings);
    check('every read model is applied to the end of the log', await checkApplied(inspection));
    check('all processes end in order', await world.closeService());
    const after = await checkLog(inspection.store, sent, accounts);
    const more = after.log.keys.size - written.size;
    check('repeats wrote nothing', [...after.findings, ...(more === 0 ? [] : [`${more} keys were written by repeats`])]);
    check(
      'chain, legs, claims and links are sound',
      await checkVerified(world.databaseUrl, kind === 'kurrent' ? inspection.store : undefined),
    );
    check('every read model is the fold of the log into empty tables', await checkReadModels(world, inspection, after.log));
  } finally {
    await inspection.close();
  }
  return problems;
}

function numberFrom(option: string, text: string): number {
  const number = Number(text);
  if (!(number >= 0)) throw new Error(`--${option} takes a number, not ${text}`);
  return number;
}

function kindFrom(text: string): StoreKind {
  if (text !== 'kurrent' && text !== 'postgres') throw new Error(`--on takes kurrent or postgres, not ${text}`);
  return text;
}

function say(what: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
}
