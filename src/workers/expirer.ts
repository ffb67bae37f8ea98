import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { accountStream } from '../events/account-events.ts';
import type { Clock } from '../events/clock.ts';
import type { Accounts } from '../commands/account-decider.ts';
import { findDue } from '../projections/balances.ts';
import type { ReadDatabase } from '../projections/database.ts';
import { pause } from '../events/pause.ts';

const TOGETHER = 500;
/**
 * In ms: how long the expirer rests at the most, and lets a user rest whom it has asked for; and how soon it looks again
 * where it has just written.
 */
const REST = 1_000;
const AGAIN = 100;

/**
 * Ends holds and lots of idle accounts on time. An index leads to what is due; no account is polled. Whether it runs
 * late, twice or not at all changes no decision: every batch writes down first what time has done.
 */
export async function expireDue(
  {
    db,
    accounts,
    clock,
    log,
  }: { readonly db: ReadDatabase; readonly accounts: Accounts; readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  // Whose row stands still seems due all the while: a projection behind, or an account that can't be read.
  let askedAt: ReadonlyMap<string, number> = new Map();
  while (!signal.aborted) {
    const now = clock.now();
    const { users, next } = await findDue(db, new Date(now), TOGETHER);
    const round = performance.now();
    const rested = users.filter((user) => round - (askedAt.get(user) ?? Number.NEGATIVE_INFINITY) >= REST);
    askedAt = new Map([
      ...users.map((user): [string, number] => [user, askedAt.get(user) ?? round]),
      ...rested.map((user): [string, number] => [user, round]),
    ]);
    const outcomes = await Promise.allSettled(rested.map((user) => accounts.execute(expireCommand(user))));
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') log.warn({ err: outcome.reason as Error }, 'an expiry has to wait');
    await pause(restAfter({ due: users.length, asked: rested.length, untilNext: next && next.getTime() - now }), signal);
  }
}

/** In ms, from how many users are due, how many of them were asked for now, and how long until the next is due. */
function restAfter({ due, asked, untilNext }: { due: number; asked: number; untilNext: number | null }): number {
  if (asked > 0) return AGAIN;
  return due > 0 || untilNext === null ? REST : Math.min(Math.max(untilNext, AGAIN), REST);
}

function expireCommand(user: string) {
  const commandId = randomUUID();
  return {
    stream: accountStream(user),
    command: { type: 'ExpireDue' } as const,
    actor: { kind: 'system', name: 'expirer' } as const,
    key: null,
    commandId,
    correlationId: commandId,
    causationId: null,
  };
}
