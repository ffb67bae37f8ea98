import { z } from 'zod';
import { freeUsesLeft } from '../../commands/price.ts';
import { accountStream } from '../../events/account-events.ts';
import { creditsFromMicro } from '../../events/amounts.ts';
import { transactionOf } from '../../projections/transactions.ts';
import { transactionAnswers } from '../answers.ts';
import { type ApiParts, reading } from '../parts.ts';
import type { Answered } from '../run-command.ts';
import {
  callerMetadataSchema,
  creditsSchema,
  idempotencyKeySchema,
  textSchema,
  transactionSchema,
  userIdSchema,
} from '../schemas.ts';
import type { Action } from './action.ts';
import { chargeFrom, chargeShape, checkCharge, WITH_OTHERS } from './pricing.ts';

const shape = {
  ...chargeShape,
  description: textSchema(1_000).nullish(),
  metadata: callerMetadataSchema.nullish(),
  idempotencyKey: idempotencyKeySchema.nullish(),
  // Taking a guild's credits from the user instead would be wrong: better refused.
  creditSource: z.object({ type: z.literal('personal', 'only personal credits can be used') }).nullish(),
};

/** What a user's own call takes: whose account it is says the token. */
export const ownUseBody = z.object(shape).superRefine(checkCharge, WITH_OTHERS);
const useBody = z.object({ ...shape, userId: userIdSchema }).superRefine(checkCharge, WITH_OTHERS);

export const useAnswer = z.object({
  success: z.literal(true),
  transaction: transactionSchema,
  newBalance: z.object({ balance: creditsSchema, totalSpent: creditsSchema }),
  creditsUsed: creditsSchema,
  freeUsesRemaining: z.number().optional().meta({ description: 'Where the operation has a free allowance' }),
});

/** Using credits in one step. */
export const use = {
  body: useBody,
  scope: () => 'credits:write' as const,
  async prepare(parts: ApiParts, caller, body) {
    const { userId, operation, appId, description, metadata } = body;
    const words = { description: description ?? undefined, metadata: metadata ?? undefined };
    return {
      userId,
      command: {
        type: 'UseCredits',
        ...chargeFrom(parts, caller, body),
        operation: operation ?? null,
        appId: appId ?? null,
        personal: await reading(() => parts.personal.seal(userId, accountStream(userId), words)),
      },
    };
  },
  async answer({ personal }: ApiParts, userId: string, outcome: Answered) {
    if (outcome.kind !== 'accepted' || outcome.event.type !== 'CreditsConsumed')
      throw new Error('a use answers with a consumption');
    const { event } = outcome;
    const { after, amount, free, price } = event.data;
    const row = transactionOf({ userId, event });
    const [transaction] = await reading(() => transactionAnswers(personal, row === undefined ? [] : [row]));
    return {
      success: true as const,
      transaction: transaction as NonNullable<typeof transaction>,
      newBalance: { balance: creditsFromMicro(after.available), totalSpent: creditsFromMicro(after.spent) },
      creditsUsed: creditsFromMicro(amount),
      ...(free && price && { freeUsesRemaining: freeUsesLeft(free, price) }),
    };
  },
} satisfies Action<z.infer<typeof useBody>>;
