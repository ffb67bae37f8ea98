import { z } from 'zod';
import { accountStream, userOfStream } from '../../events/account-events.ts';
import { creditsFromMicro } from '../../events/amounts.ts';
import { sumOfLots } from '../../events/lot-changes.ts';
import { parseWireId, wireId } from '../../events/wire-ids.ts';
import { ApiError } from '../errors.ts';
import { type ApiParts, reading } from '../parts.ts';
import type { Answered } from '../run-command.ts';
import { amountSchema, callerMetadataSchema, creditsSchema, idempotencyKeySchema, textSchema, userIdSchema } from '../schemas.ts';
import type { Action } from './action.ts';
import { observedHolds } from './pricing.ts';

/** The longest id of a user, written in base64url, and what stands around it. */
export const reservationIdSchema = textSchema(600, 1);

const commitBody = z.object({
  reservationId: reservationIdSchema,
  amount: amountSchema.nullish(),
  onExpired: z.enum(['available', 'refuse']).nullish(),
  description: textSchema(1_000).nullish(),
  metadata: callerMetadataSchema.nullish(),
  idempotencyKey: idempotencyKeySchema.nullish(),
});

export const commitAnswer = z.object({
  success: z.literal(true),
  transactionId: z.string(),
  creditsUsed: creditsSchema,
  released: creditsSchema,
  balance: creditsSchema,
});

const releaseBody = z.object({
  reservationId: reservationIdSchema,
  reason: textSchema(1_000).nullish(),
  idempotencyKey: idempotencyKeySchema.nullish(),
});

export const releaseAnswer = z.object({ success: z.literal(true), balance: creditsSchema, released: creditsSchema });

/** Taking what the work behind a hold really cost. */
export const commit = {
  body: commitBody,
  scope: () => 'credits:write' as const,
  async prepare({ personal, catalogue }: ApiParts, caller, body) {
    const { userId, revision } = holdOf(body.reservationId);
    const said = { description: body.description ?? undefined, metadata: body.metadata ?? undefined };
    return {
      userId,
      command: {
        type: 'CommitReservation',
        reservation: revision,
        amount: body.amount ?? null,
        onExpired: body.onExpired ?? 'available',
        ...observedHolds(catalogue.latest(), caller),
        personal: await reading(() => personal.seal(userId, accountStream(userId), said)),
      },
    };
  },
  answer(_: ApiParts, __: string, outcome: Answered) {
    if (outcome.kind !== 'accepted' || outcome.event.type !== 'CreditsConsumed')
      throw new Error('a commit answers with a consumption');
    const { after, amount, returned, toFrozen = [], lapsed } = outcome.event.data;
    return {
      success: true as const,
      transactionId: wireId('txn', outcome.event),
      creditsUsed: creditsFromMicro(amount),
      released: creditsFromMicro(sumOfLots([...returned, ...toFrozen, ...lapsed])),
      balance: creditsFromMicro(after.available),
    };
  },
} satisfies Action<z.infer<typeof commitBody>>;

/** Giving back what a hold kept: the work failed. */
export const release = {
  body: releaseBody,
  scope: () => 'credits:write' as const,
  async prepare({ personal }: ApiParts, _, { reservationId, reason }) {
    const { userId, revision } = holdOf(reservationId);
    const said = { reason: reason ?? undefined };
    const sealed = await reading(() => personal.seal(userId, accountStream(userId), said));
    return { userId, command: { type: 'ReleaseReservation', reservation: revision, personal: sealed } };
  },
  answer(_: ApiParts, __: string, outcome: Answered) {
    if (outcome.kind !== 'accepted' || outcome.event.type !== 'ReservationReleased')
      throw new Error('a release answers with a release');
    const { after, amount } = outcome.event.data;
    return { success: true as const, balance: creditsFromMicro(after.available), released: creditsFromMicro(amount) };
  },
} satisfies Action<z.infer<typeof releaseBody>>;

/** Whose hold an id names. Throws 404 where it names none. */
export function holdOf(reservationId: string): { userId: string; revision: number } {
  const ref = parseWireId('rsv', reservationId);
  const userId = ref && userOfStream(ref.stream);
  if (ref === undefined || userId === undefined || !userIdSchema.safeParse(userId).success) throw noReservation();
  return { userId, revision: ref.revision };
}

/** What a caller is told whose id names no hold. */
export function noReservation(): ApiError {
  return new ApiError(404, 'reservation_not_found', 'There is no such reservation');
}
