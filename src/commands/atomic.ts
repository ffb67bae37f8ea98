import type { AccountEvent } from '../events/account-events.ts';
import type { Account } from './account.ts';
import { evolve } from './account.ts';
import type { AccountCommand } from './account-decider.ts';
import { type Context, type Decided, type Decision, type Facts } from './decider.ts';

/** Several commands of one account: all of them, or none. */
export type Atomic = { readonly type: 'Atomic'; readonly commands: readonly Exclude<AccountCommand, Atomic>[] };

/** Commands of one atomic batch at the most. */
export const MAX_ATOMIC = 100;

type DecideOne = (
  command: Exclude<AccountCommand, Atomic>,
  account: Account,
  facts: Facts<AccountEvent>,
  context: Context,
) => Decision<AccountEvent>;

/**
 * Decides commands one after the other, each on what the ones before it leave. The first refusal refuses all, and names
 * its command. Where none writes anything, nothing is written. Callers see to it that no two of the commands name the
 * same hold, consumption or grant: what one of them changes of an earlier event the next would not know.
 */
export function decideAtomic(
  { commands }: Atomic,
  start: Account,
  facts: Facts<AccountEvent>,
  context: Context,
  decideOne: DecideOne,
): Decision<AccountEvent> {
  const events: Decided<AccountEvent>[] = [];
  let account = start;
  for (const [index, command] of commands.entries()) {
    const revision = context.revision + events.length;
    const decision = decideOne(command, account, facts, { ...context, revision });
    if (decision.kind === 'reject') {
      // What a command before it would do may have been done already, which leaves it more room than it seems.
      const unless = [...(decision.unless ?? []), ...events.flatMap(({ claims = [] }) => claims)];
      return { kind: 'reject', rejection: { code: 'batch_refused', index, rejection: decision.rejection }, unless };
    }
    if (decision.kind !== 'append') continue;
    for (const event of decision.events) {
      account = evolve(account, { ...event, revision: context.revision + events.length, metadata: { actor: context.actor } });
      events.push(event);
    }
  }
  const last = events.pop();
  return last === undefined ? { kind: 'unchanged' } : { kind: 'append', events: [...events, last] };
}
