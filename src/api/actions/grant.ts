import { z } from 'zod';
import { balancesOf } from '../../commands/balances.ts';
import { accountStream } from '../../events/account-events.ts';
import { creditsFromMicro } from '../../events/amounts.ts';
import { wireId } from '../../events/wire-ids.ts';
import { errorOfRejection } from '../errors.ts';
import { type ApiParts, reading } from '../parts.ts';
import type { Answered } from '../run-command.ts';
import { creditsSchema, idempotencyKeySchema, labelSchema, positiveAmountSchema, textSchema, userIdSchema } from '../schemas.ts';
import type { Action } from './action.ts';

const grantBody = z.object({
  userId: userIdSchema,
  amount: positiveAmountSchema,
  reason: textSchema(64, 1),
  referenceId: textSchema(128, 1),
  description: textSchema(256).nullish(),
  expiresAt: z.iso.datetime({ offset: true }).nullish(),
  priority: z.int().min(1).max(100).nullish(),
  appId: labelSchema.nullish(),
  idempotencyKey: idempotencyKeySchema.nullish(),
});

export const grantAnswer = z.object({
  ok: z.literal(true),
  alreadyGranted: z.boolean(),
  newBalance: creditsSchema,
  transactionId: z.string(),
});

const DEFAULT_PRIORITY = 50;

/** Giving credits: once for each reason and reference of an account. */
export const grant = {
  body: grantBody,
  scope: () => 'credits:grant' as const,
  async prepare({ personal }: ApiParts, _, { userId, amount, reason, referenceId, description, expiresAt, priority, appId }) {
    const said = { description: description ?? undefined };
    return {
      userId,
      command: {
        type: 'GrantCredits',
        amount,
        source: 'promo',
        reason,
        reference: referenceId,
        priority: priority ?? DEFAULT_PRIORITY,
        expiresAt: typeof expiresAt === 'string' ? Date.parse(expiresAt) : null,
        appId: appId ?? null,
        personal: await reading(() => personal.seal(userId, accountStream(userId), said)),
      },
    };
  },
  answer(_: ApiParts, __: string, outcome: Answered) {
    const { event } = outcome;
    if (event?.type !== 'CreditsGranted') throw new Error('a grant answers with a grant');
    // Somebody gave goodwill under this very key: not to be taken for the grant.
    if (event.data.source === 'goodwill') throw errorOfRejection({ code: 'idempotency_conflict' });
    const given = outcome.kind === 'accepted' ? event.data.after.available : balancesOf(outcome.state).available;
    return {
      ok: true as const,
      alreadyGranted: outcome.kind === 'unchanged',
      newBalance: creditsFromMicro(given),
      transactionId: wireId('txn', event),
    };
  },
} satisfies Action<z.infer<typeof grantBody>>;
