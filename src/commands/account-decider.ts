import type { AccountEvent } from '../events/account-events.ts';
import { type Account, evolve, initialAccount } from './account.ts';
import { type CommitReservation, decideCommitReservation } from './commit-reservation.ts';
import type { Context, Decider, Decision, Facts } from './decider.ts';
import { decideExpired, type ExpireDue } from './expire.ts';
import { decideGrantCredits, type GrantCredits } from './grant-credits.ts';
import { missingHold } from './holds.ts';
import { decideOpenAccount, type OpenAccount } from './open-account.ts';
import { decideReleaseReservation, type ReleaseReservation } from './release-reservation.ts';
import { decideReserveCredits, type ReserveCredits } from './reserve-credits.ts';
import { decideUseCredits, type UseCredits } from './use-credits.ts';
import type { Envelope, Outcome } from './write-path/envelope.ts';

/** Everything that can be asked of an account. */
export type AccountCommand =
  | OpenAccount
  | GrantCredits
  | ReserveCredits
  | UseCredits
  | CommitReservation
  | ReleaseReservation
  | ExpireDue;

/** What runs the commands of accounts. */
export type Accounts = { execute(envelope: Envelope<AccountCommand>): Promise<Outcome<Account, AccountEvent>> };

/** All decisions of an account in one place. */
export const accountDecider: Decider<Account, AccountCommand, AccountEvent> = {
  initialState: initialAccount,
  evolve,
  expire: decideExpired,
  decide,
  missingFacts(command, account) {
    const settles = command.type === 'CommitReservation' || command.type === 'ReleaseReservation';
    return settles ? missingHold(account, command.reservation) : [];
  },
  weigh: (account) => (account.status === 'open' ? 1 + account.lots.length + account.holds.length + account.freeUsed.length : 1),
};

function decide(command: AccountCommand, account: Account, facts: Facts<AccountEvent>, context: Context): Decision<AccountEvent> {
  switch (command.type) {
    case 'OpenAccount':
      return decideOpenAccount(command, account, facts);
    case 'GrantCredits':
      return decideGrantCredits(command, account, facts, context);
    case 'ReserveCredits':
      return decideReserveCredits(command, account, context);
    case 'UseCredits':
      return decideUseCredits(command, account, context);
    case 'CommitReservation':
      return decideCommitReservation(command, account, facts, context);
    case 'ReleaseReservation':
      return decideReleaseReservation(command, account, facts, context);
    // Time's passing is written before every batch; asking for it is enough.
    case 'ExpireDue':
      return { kind: 'unchanged' };
    default:
      return command satisfies never;
  }
}
