import { z } from 'zod';
import type { AccountCommand } from '../../commands/account-decider.ts';
import { accountStream } from '../../events/account-events.ts';
import { creditsFromMicro } from '../../events/amounts.ts';
import { canonicalJson, sha256Base64 } from '../../events/canonical.ts';
import { parseWireId } from '../../events/wire-ids.ts';
import { transactionOf } from '../../projections/transactions.ts';
import { transactionAnswers } from '../answers.ts';
import { errorOfRejection } from '../errors.ts';
import { type ApiParts, reading } from '../parts.ts';
import type { Answered } from '../run-command.ts';
import {
  amountSchema,
  callerMetadataSchema,
  creditsSchema,
  idempotencyKeySchema,
  labelSchema,
  textSchema,
  transactionSchema,
  userIdSchema,
} from '../schemas.ts';
import type { Action } from './action.ts';

const refundBody = z
  .object({
    userId: userIdSchema,
    amount: amountSchema,
    transactionId: textSchema(600, 1).nullish(),
    description: textSchema(1_000).nullish(),
    appId: labelSchema.nullish(),
    metadata: callerMetadataSchema.nullish(),
    idempotencyKey: idempotencyKeySchema.nullish(),
  })
  // Where a consumption is named, nothing at all may give back free units: that is for its account to say.
  .refine(({ amount, transactionId }) => amount > 0 || typeof transactionId === 'string', {
    path: ['amount'],
    message: 'must be more than 0',
  });

export const refundAnswer = z.object({
  success: z.literal(true),
  transaction: transactionSchema,
  newBalance: z.object({ balance: creditsSchema }),
});

const GOODWILL_PRIORITY = 50;

/**
 * Giving back what a use or a commit took, wholly or in part. Without a transaction it is goodwill: credits that
 * nothing was taken for, under a scope of its own and marked as such.
 */
export const refund = {
  body: refundBody,
  scope: ({ transactionId }) => (typeof transactionId === 'string' ? 'credits:write' : 'credits:refund-unlinked'),
  async prepare({ personal }: ApiParts, caller, body, own) {
    const { userId, transactionId, description, metadata } = body;
    const consumption = typeof transactionId === 'string' ? consumptionOf(userId, transactionId) : undefined;
    const said = { description: description ?? undefined, metadata: metadata ?? undefined };
    const sealed = await reading(() => personal.seal(userId, accountStream(userId), said));
    const shared = { amount: body.amount, appId: body.appId ?? null, personal: sealed };
    const command: AccountCommand =
      consumption === undefined
        ? {
            type: 'GrantCredits',
            ...shared,
            source: 'goodwill',
            reason: 'goodwill',
            // Given once for each idempotency key of each caller: another app's refund under the same key is another.
            reference: sha256Base64(canonicalJson(['goodwill', caller.name, ...own])),
            priority: GOODWILL_PRIORITY,
            expiresAt: null,
          }
        : { type: 'RefundConsumption', ...shared, consumption };
    return { userId, command };
  },
  async answer({ personal }: ApiParts, userId: string, outcome: Answered) {
    const { event } = outcome;
    if (event?.type !== 'CreditsRefunded' && event?.type !== 'CreditsGranted') throw new Error('a refund answers with a refund');
    // Somebody gave something else under this very reference: not to be taken for the refund.
    if (event.type === 'CreditsGranted' && event.data.source !== 'goodwill')
      throw errorOfRejection({ code: 'idempotency_conflict' });
    const row = transactionOf({ userId, event });
    const [transaction] = await reading(() => transactionAnswers(personal, row === undefined ? [] : [row]));
    return {
      success: true as const,
      transaction: transaction as NonNullable<typeof transaction>,
      newBalance: { balance: creditsFromMicro(event.data.after.available) },
    };
  },
} satisfies Action<z.infer<typeof refundBody>>;

/** The revision that a transaction's id names in a user's account. Throws 404 where it names nothing there. */
function consumptionOf(userId: string, transactionId: string): number {
  const ref = parseWireId('txn', transactionId);
  if (ref?.stream !== accountStream(userId)) throw errorOfRejection({ code: 'transaction_not_found' });
  return ref.revision;
}
