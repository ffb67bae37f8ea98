import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import { accountStream } from '../events/account-events.ts';
import type { Clock } from '../events/clock.ts';
import type { Accounts } from '../commands/account-decider.ts';
import { findDue } from '../projections/balances.ts';
import type { ReadDatabase } from '../projections/database.ts';
import { pause } from './leader.ts';

const TOGETHER = 500;
/** In ms: how long the expirer rests at the most, and how soon it looks again where it has just written. */
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
  while (!signal.aborted) {
    const now = clock.now();
    const { users, next } = await findDue(db, new Date(now), TOGETHER);
    const outcomes = await Promise.allSettled(users.map((user) => accounts.execute(expireCommand(user))));
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') log.warn({ err: outcome.reason as Error }, 'an expiry has to wait');
    const untilNext = next === null ? REST : Math.max(next.getTime() - now, AGAIN);
    await pause(users.length > 0 ? AGAIN : Math.min(untilNext, REST), signal);
  }
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
