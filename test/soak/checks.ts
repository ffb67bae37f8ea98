import { setTimeout as delay } from 'node:timers/promises';
import { formatFinding } from '../../src/cli/audit/finding.ts';
import { openLog } from '../../src/cli/log-access/log-end.ts';
import { verify } from '../../src/cli/verify.ts';
import { readModelPool, servicePool } from '../../src/database.ts';
import { START, type Store } from '../../src/events/store.ts';
import { findDue } from '../../src/projections/balances.ts';
import { countParked, findBehind } from '../../src/projections/checkpoints.ts';
import { type ReadDatabase, readDatabase } from '../../src/projections/database.ts';
import { readAppliedPosition } from '../../src/projections/router-position.ts';
import { differencesFromFold, heads } from '../projections/projecting.ts';
import type { Body, SoakAccount } from './accounts.ts';
import { LogCheck } from './check-log.ts';
import { mustBeAgain, type Sent } from './clients.ts';
import type { Random } from './random.ts';
import type { Wire } from './wire.ts';
import type { World } from './world.ts';

/*
 * What must be so afterwards. Each check returns what is not, a line each; none where all is well.
 */

/** Events in one read. */
const PAGE = 1_000;
/** In ms: how long the read models may take to catch up with the log, and everybody to see it. */
const APPLIED_WITHIN = 180_000;
const LOOK_EVERY = 200;
/** In ms: holds and lots that run out run out within seconds, or after the soak. */
const SOON = 60_000;
/** How many keys are sent again, and how many at once. */
const SAMPLE = 2_000;
const AT_ONCE = 24;

/** The log and the read models, as a process of its own has them. */
export type Inspection = { readonly store: Store; readonly db: ReadDatabase; close(): Promise<void> };

/** Opens the log that the service wrote. Whoever opens it closes it. */
export async function inspect(databaseUrl: string, env: Readonly<Record<string, string>>): Promise<Inspection> {
  const { EVENTSTORE_URL: url = databaseUrl, EVENTSTORE_PREFIX: prefix = '' } = env;
  const end = await openLog({ url, prefix }, { databaseUrl, onTrouble: () => undefined });
  const db = readDatabase(readModelPool(databaseUrl, 'inspection', 2));
  return {
    store: end.store,
    db,
    async close() {
      await db.destroy();
      await end.close();
    },
  };
}

/** Reads the whole log and holds it against what was answered. */
export async function checkLog(
  store: Store,
  sent: readonly Sent[],
  accounts: readonly SoakAccount[],
): Promise<{ readonly log: LogCheck; readonly findings: readonly string[] }> {
  const log = new LogCheck(sent);
  for (let after = START; ; ) {
    const events = await store.readAll({ after, limit: PAGE });
    for (const event of events) log.take(event);
    const last = events.at(-1);
    if (last === undefined) return { log, findings: log.findings(accounts) };
    after = last.position;
  }
}

/** Sends keys again that wrote something: each must give what it gave first. Returns how many, and what is not so. */
export async function checkRepeats(
  wire: Wire,
  { sent, written, random }: { readonly sent: readonly Sent[]; readonly written: ReadonlySet<string>; readonly random: Random },
): Promise<{ readonly count: number; readonly findings: readonly string[] }> {
  const candidates = sent.filter(({ key, status }) => status === 200 && written.has(key));
  const sample = candidates.length <= SAMPLE ? candidates : Array.from({ length: SAMPLE }, () => random.pick(candidates));
  const queue = [...sample];
  const findings: string[] = [];
  const work = async (): Promise<void> => {
    for (let one = queue.pop(); one !== undefined && findings.length < 20; one = queue.pop()) {
      const again = await wire.ask(one, random);
      try {
        mustBeAgain(one.key, { status: one.status, body: JSON.parse(one.text) as Body, token: one.token }, again);
      } catch (error) {
        findings.push(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { count: sample.length, findings };
}

/**
 * Waits until every read model is applied to the log's end, the router knows it, and nothing more runs out soon, so that
 * nobody writes any more. Returns what is not so in time.
 */
export async function checkApplied({ store, db }: Inspection): Promise<readonly string[]> {
  const giveUpAt = performance.now() + APPLIED_WITHIN;
  for (;;) {
    const { users, next } = await findDue(db, new Date(Date.now() + SOON), 1);
    const position = await store.lastPosition();
    const applied = await readAppliedPosition(db);
    if (users.length === 0 && applied === position) {
      const behind = await findBehind(db, await heads({ store }));
      if (behind.length === 0) return [];
      const first = behind.slice(0, 5).map(({ stream, revision }) => `${stream}@${revision}`);
      return [`${behind.length} streams are behind (${first.join(', ')}), and the router holds all to be applied`];
    }
    if (performance.now() > giveUpAt)
      return [`applied to ${applied} of ${position}, ${users.length} users are due and the next is at ${String(next)}`];
    await delay(LOOK_EVERY);
  }
}

/** Runs what `npm run verify` does: chain, legs, claims, links and heads. */
export async function checkVerified(databaseUrl: string, store: Store | undefined): Promise<readonly string[]> {
  const pool = servicePool(databaseUrl, 'verify', 1);
  try {
    return (await verify({ pool, store })).map(formatFinding);
  } finally {
    await pool.end();
  }
}

/** Holds every read model against the fold of the log into empty tables, and the balances against the accounts. */
export async function checkReadModels(world: World, inspection: Inspection, log: LogCheck): Promise<readonly string[]> {
  const parked = await countParked(inspection.db);
  const told = await inspection.db.selectFrom('balances').select(['user_id', 'available', 'reserved', 'revision']).execute();
  const balances = log.balances();
  const wrong = told.flatMap(({ user_id, ...row }) => {
    const found = balances.get(`account-${user_id}`);
    const [expected, is] = [
      found && [found.available, found.reserved, found.revision],
      [row.available, row.reserved, row.revision].map(Number),
    ];
    return String(expected) === String(is) ? [] : [`the balance of ${user_id} is ${String(is)}, and must be ${String(expected)}`];
  });
  return [
    ...(parked === 0 ? [] : [`${parked} streams are parked`]),
    ...(told.length === balances.size ? [] : [`there are ${told.length} balances, and ${balances.size} accounts`]),
    ...wrong.slice(0, 10),
    ...(await world.asSuperuser((superuser) => differencesFromFold(inspection, superuser))),
  ];
}
