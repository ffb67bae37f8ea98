import { type Account } from '../commands/account.ts';
import { balancesOf } from '../commands/balances.ts';
import { accountStream } from '../events/account-events.ts';
import { creditsFromMicro, type Micro } from '../events/amounts.ts';
import type { Personal, Words } from '../events/personal.ts';
import { wireId } from '../events/wire-ids.ts';
import type { Balance } from '../projections/balances.ts';
import type { TransactionRow } from '../projections/transactions.ts';

/** What of a balance runs out, soonest first, at the most. */
export const MAX_EXPIRING = 100;

type Amounts = Pick<Balance, 'available' | 'reserved' | 'debt' | 'earned' | 'spent'>;
type Expiring = readonly { readonly amount: Micro; readonly at: Date }[];

/** A balance as callers see it. */
export function balanceAnswer(userId: string, amounts: Amounts, expiring: Expiring, revision: number) {
  return {
    userId,
    balance: creditsFromMicro(amounts.available),
    totalEarned: creditsFromMicro(amounts.earned),
    totalSpent: creditsFromMicro(amounts.spent),
    reserved: creditsFromMicro(amounts.reserved),
    debt: creditsFromMicro(amounts.debt),
    currency: 'mana' as const,
    expiring: expiring.map(({ amount, at }) => ({ amount: creditsFromMicro(amount), at: at.toISOString() })),
    revision,
  };
}

/** A balance from the state that a command rests on. */
export function balanceOfState(userId: string, account: Account, revision: number) {
  const lots = account.status === 'open' ? account.lots : [];
  const expiring = lots
    .flatMap(({ free, frozen, expiresAt }) =>
      expiresAt === null || free === 0 || frozen ? [] : [{ amount: free, at: new Date(expiresAt) }],
    )
    .toSorted((a, b) => a.at.getTime() - b.at.getTime())
    .slice(0, MAX_EXPIRING);
  return balanceAnswer(userId, balancesOf(account), expiring, revision);
}

/** Transactions as callers see them, with the words that belong to them; null where the person was erased. */
export async function transactionAnswers(personal: Personal, rows: readonly TransactionRow[]) {
  const words = await personal.open(rows.map((row) => ({ stream: accountStream(row.user_id), ciphertext: row.personal })));
  return rows.map((row, index) => transactionAnswer(row, words[index] ?? null));
}

function transactionAnswer(row: TransactionRow, words: Words | null) {
  return {
    id: wireId('txn', { stream: accountStream(row.user_id), revision: row.revision }),
    userId: row.user_id,
    type: row.type,
    status: row.status,
    amount: creditsFromMicro(row.amount),
    balanceBefore: creditsFromMicro(row.balance_before),
    balanceAfter: creditsFromMicro(row.balance_after),
    appId: row.app_id ?? row.app,
    description: words?.description ?? words?.reason ?? null,
    metadata: (words?.metadata ?? null) as { [key: string]: unknown } | null,
    idempotencyKey: row.idempotency_key,
    createdAt: row.created_at,
    completedAt: row.completed_at,
    operation: row.operation,
    revision: row.revision,
    ...chargeAnswer(row),
    ...(row.about !== null && {
      relatedTransactionId: wireId('txn', { stream: accountStream(row.user_id), revision: row.about }),
    }),
    // What comes back without a consumption is a gift of the house.
    ...(row.type === 'refund' && row.about === null && { goodwill: true }),
  };
}

/** What it was charged by, where that was a price; and what nobody pays of it. */
function chargeAnswer({ quantity, cost, per, free_units: freeUnits, uncovered }: TransactionRow) {
  return {
    ...(quantity !== null && cost !== null && per !== null && { quantity, price: { cost: creditsFromMicro(cost), per } }),
    ...(freeUnits !== null && { freeUnits }),
    ...(uncovered !== null && { uncovered: creditsFromMicro(uncovered) }),
  };
}
