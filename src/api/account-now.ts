import { randomUUID } from 'node:crypto';
import type { Account } from '../commands/account.ts';
import type { Accounts } from '../commands/account-decider.ts';
import { accountStream } from '../events/account-events.ts';

/** A user's account at its head, with all that has run out by now written down; and its revision. */
export async function accountNow(accounts: Accounts, userId: string): Promise<{ state: Account; revision: number }> {
  const commandId = randomUUID();
  const outcome = await accounts.execute({
    stream: accountStream(userId),
    command: { type: 'ExpireDue' },
    actor: { kind: 'system', name: 'balance' },
    key: null,
    commandId,
    correlationId: commandId,
    causationId: null,
  });
  if (outcome.kind !== 'unchanged') throw new Error('expiry answers with how things stand');
  return outcome;
}
