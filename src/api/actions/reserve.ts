import { z } from 'zod';
import { freeUsesLeft } from '../../commands/price.ts';
import { accountStream } from '../../events/account-events.ts';
import { creditsFromMicro, plus, ZERO } from '../../events/amounts.ts';
import { wireId } from '../../events/wire-ids.ts';
import { type ApiParts, reading } from '../parts.ts';
import type { Answered } from '../run-command.ts';
import { callerMetadataSchema, creditsSchema, idempotencyKeySchema, textSchema, userIdSchema } from '../schemas.ts';
import type { Action } from './action.ts';
import { chargeFrom, chargeShape, checkCharge, WITH_OTHERS } from './pricing.ts';

const DEFAULT_TTL_S = 15 * 60;
const LONGEST_TTL_S = 30 * 24 * 60 * 60;

const reserveBody = z
  .object({
    ...chargeShape,
    userId: userIdSchema,
    reason: textSchema(1_000).nullish(),
    ttlSeconds: z.int().min(1).max(LONGEST_TTL_S).nullish(),
    description: textSchema(1_000).nullish(),
    metadata: callerMetadataSchema.nullish(),
    idempotencyKey: idempotencyKeySchema.nullish(),
  })
  .superRefine(checkCharge, WITH_OTHERS);

export const reserveAnswer = z.object({
  reservationId: z.string(),
  balance: creditsSchema,
  amount: creditsSchema,
  expiresAt: z.string(),
  freeUsesRemaining: z.number().optional().meta({ description: 'Where the operation has a free allowance' }),
});

/** Holding credits while work is done. */
export const reserve = {
  body: reserveBody,
  scope: () => 'credits:write' as const,
  async prepare(parts: ApiParts, caller, body) {
    const { userId, operation, appId, ttlSeconds, reason, description, metadata } = body;
    const said = { reason: reason ?? undefined, description: description ?? undefined, metadata: metadata ?? undefined };
    return {
      userId,
      command: {
        type: 'ReserveCredits',
        ...chargeFrom(parts, caller, body),
        ttl: (ttlSeconds ?? DEFAULT_TTL_S) * 1_000,
        operation: operation ?? null,
        appId: appId ?? null,
        personal: await reading(() => parts.personal.seal(userId, accountStream(userId), said)),
      },
    };
  },
  answer(_: ApiParts, __: string, outcome: Answered) {
    if (outcome.kind !== 'accepted' || outcome.event.type !== 'CreditsReserved') throw new Error('a reserve answers with a hold');
    const { after, amount, uncovered = ZERO, expiresAt, free, price } = outcome.event.data;
    return {
      reservationId: wireId('rsv', outcome.event),
      balance: creditsFromMicro(after.available),
      amount: creditsFromMicro(plus(amount, uncovered)),
      expiresAt,
      ...(free && price && { freeUsesRemaining: freeUsesLeft(free, price) }),
    };
  },
} satisfies Action<z.infer<typeof reserveBody>>;
