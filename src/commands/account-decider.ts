import type { AccountEvent } from '../events/account-events.ts';
import { type Account, evolve, initialAccount } from './account.ts';
import { type Atomic, decideAtomic } from './atomic.ts';
import { type CommitReservation, decideCommitReservation } from './commit-reservation.ts';
import type { Context, Decider, Decision, Facts } from './decider.ts';
import { type DebitCredits, decideDebitCredits } from './debit-credits.ts';
import { decideExpired, type ExpireDue } from './expire.ts';
import { decideFreezeGrant, type FreezeGrant } from './freeze-grant.ts';
import { decideGrantCredits, type GrantCredits } from './grant-credits.ts';
import { missingHold } from './holds.ts';
import { decideOpenAccount, type OpenAccount } from './open-account.ts';
import { decideRefundConsumption, missingForRefund, type RefundConsumption } from './refund-consumption.ts';
import { decideReleaseReservation, type ReleaseReservation } from './release-reservation.ts';
import { decideReserveCredits, type ReserveCredits } from './reserve-credits.ts';
import { decideRevokeGrant, type RevokeGrant } from './revoke-grant.ts';
import { decideUnfreezeGrant, type UnfreezeGrant } from './unfreeze-grant.ts';
import { decideUseCredits, type UseCredits } from './use-credits.ts';
import type { Envelope, Outcome } from './write-path/envelope.ts';

/** Everything that can be asked of an account. */
export type AccountCommand =
  | Atomic
  | OpenAccount
  | GrantCredits
  | ReserveCredits
  | UseCredits
  | CommitReservation
  | ReleaseReservation
  | RefundConsumption
  | DebitCredits
  | FreezeGrant
  | UnfreezeGrant
  | RevokeGrant
  | ExpireDue;

/** What runs the commands of accounts. */
export type Accounts = { execute(envelope: Envelope<AccountCommand>): Promise<Outcome<Account, AccountEvent>> };

/** All decisions of an account in one place. */
export const accountDecider: Decider<Account, AccountCommand, AccountEvent> = {
  initialState: initialAccount,
  evolve,
  expire: decideExpired,
  decide,
  missingFacts(command, account, facts) {
    if (command.type === 'Atomic') return command.commands.flatMap((one) => accountDecider.missingFacts(one, account, facts));
    if (command.type === 'RefundConsumption') return missingForRefund(command, facts);
    if ('grant' in command) return [command.grant];
    const settles = command.type === 'CommitReservation' || command.type === 'ReleaseReservation';
    return settles ? missingHold(account, command.reservation) : [];
  },
  weigh: (account) => (account.status === 'open' ? 1 + account.lots.length + account.holds.length + account.freeUsed.length : 1),
};

function decide(command: AccountCommand, account: Account, facts: Facts<AccountEvent>, context: Context): Decision<AccountEvent> {
  switch (command.type) {
    case 'Atomic':
      return decideAtomic(command, account, facts, context, decide);
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
    case 'RefundConsumption':
      return decideRefundConsumption(command, account, facts, context);
    case 'DebitCredits':
      return decideDebitCredits(command, account, facts);
    case 'FreezeGrant':
      return decideFreezeGrant(command, account, facts);
    case 'UnfreezeGrant':
      return decideUnfreezeGrant(command, account, facts, context);
    case 'RevokeGrant':
      return decideRevokeGrant(command, account, facts, context);
    // Time's passing is written before every batch; asking for it is enough.
    case 'ExpireDue':
      return { kind: 'unchanged' };
    default:
      return command satisfies never;
  }
}
