import { z } from 'zod';
import { accountStream, userOfStream } from '../events/account-events.ts';
import { creditsFromMicro, plus } from '../events/amounts.ts';
import { sumOfLots } from '../events/lot-changes.ts';
import { parseWireId, wireId } from '../events/wire-ids.ts';
import { findReservation, type Reservation } from '../projections/reservations.ts';
import { ApiError } from './errors.ts';
import { type ApiParts, reading, type Routes, typed } from './parts.ts';
import { waitUntilVisible } from './revisions.ts';
import { runCommand } from './run-command.ts';
import {
  amountSchema,
  callerMetadataSchema,
  creditsSchema,
  errorSchema,
  idempotencyKeySchema,
  labelSchema,
  positiveAmountSchema,
  textSchema,
  userIdSchema,
} from './schemas.ts';

const DEFAULT_TTL_S = 15 * 60;
const LONGEST_TTL_S = 30 * 24 * 60 * 60;

const words = { description: textSchema(1_000).nullish(), metadata: callerMetadataSchema.nullish() };
/** The longest id of a user, written in base64url, and what stands around it. */
const idSchema = textSchema(600, 1);

const reserveBody = z.object({
  userId: userIdSchema,
  amount: positiveAmountSchema,
  reason: textSchema(1_000).nullish(),
  appId: labelSchema.nullish(),
  ttlSeconds: z.int().min(1).max(LONGEST_TTL_S).nullish(),
  idempotencyKey: idempotencyKeySchema.nullish(),
  ...words,
});

const commitBody = z.object({
  reservationId: idSchema,
  amount: amountSchema.nullish(),
  onExpired: z.enum(['available', 'refuse']).nullish(),
  idempotencyKey: idempotencyKeySchema.nullish(),
  ...words,
});

const releaseBody = z.object({
  reservationId: idSchema,
  reason: textSchema(1_000).nullish(),
  idempotencyKey: idempotencyKeySchema.nullish(),
});

const reservationSchema = z.object({
  reservationId: z.string(),
  userId: z.string(),
  status: z.enum(['held', 'consumed', 'released', 'expired']),
  amount: creditsSchema,
  creditsUsed: creditsSchema,
  released: creditsSchema,
  appId: z.string(),
  reason: z.string().nullable(),
  description: z.string().nullable(),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  createdAt: z.string(),
  expiresAt: z.string(),
  settledAt: z.string().nullable(),
});

const service = { access: { kind: 'service', scope: 'credits:write' } } as const;

/** Holding credits while work is done, and settling the hold. */
export const reservationRoutes: Routes = (parts) => async (app) => {
  const routes = typed(app);
  addReserve(routes, parts);
  addCommit(routes, parts);
  addRelease(routes, parts);
  addLookUp(routes, parts);
};

type App = ReturnType<typeof typed>;

function addReserve(routes: App, { accounts, personal }: ApiParts): void {
  routes.post(
    '/internal/credits/reserve',
    {
      config: service,
      schema: {
        tags: ['services'],
        body: reserveBody,
        response: {
          200: z.object({ reservationId: z.string(), balance: creditsSchema, amount: creditsSchema, expiresAt: z.string() }),
          '4xx': errorSchema,
        },
      },
    },
    async (request, reply) => {
      const { userId, amount, appId, ttlSeconds, reason, description, metadata } = request.body;
      const said = { reason: reason ?? undefined, description: description ?? undefined, metadata: metadata ?? undefined };
      const outcome = await runCommand(accounts, { request, reply }, userId, {
        type: 'ReserveCredits',
        amount,
        ttl: (ttlSeconds ?? DEFAULT_TTL_S) * 1_000,
        operation: null,
        appId: appId ?? null,
        personal: await reading(() => personal.seal(userId, accountStream(userId), said)),
      });
      if (outcome.kind !== 'accepted' || outcome.event.type !== 'CreditsReserved')
        throw new Error('a reserve answers with a hold');
      const { data } = outcome.event;
      return {
        reservationId: wireId('rsv', outcome.event),
        balance: creditsFromMicro(data.after.available),
        amount: creditsFromMicro(data.amount),
        expiresAt: data.expiresAt,
      };
    },
  );
}

function addCommit(routes: App, { accounts, personal }: ApiParts): void {
  routes.post(
    '/internal/credits/commit',
    {
      config: service,
      schema: {
        tags: ['services'],
        body: commitBody,
        response: {
          200: z.object({
            success: z.literal(true),
            transactionId: z.string(),
            creditsUsed: creditsSchema,
            released: creditsSchema,
            balance: creditsSchema,
          }),
          '4xx': errorSchema,
        },
      },
    },
    async (request, reply) => {
      const { reservationId, amount, onExpired, description, metadata } = request.body;
      const { userId, revision } = holdOf(reservationId);
      const said = { description: description ?? undefined, metadata: metadata ?? undefined };
      const outcome = await runCommand(accounts, { request, reply }, userId, {
        type: 'CommitReservation',
        reservation: revision,
        amount: amount ?? null,
        onExpired: onExpired ?? 'available',
        personal: await reading(() => personal.seal(userId, accountStream(userId), said)),
      });
      if (outcome.kind !== 'accepted' || outcome.event.type !== 'CreditsConsumed')
        throw new Error('a commit answers with a consumption');
      const { data } = outcome.event;
      return {
        success: true as const,
        transactionId: wireId('txn', outcome.event),
        creditsUsed: creditsFromMicro(data.amount),
        released: creditsFromMicro(plus(sumOfLots(data.returned), sumOfLots(data.lapsed))),
        balance: creditsFromMicro(data.after.available),
      };
    },
  );
}

function addRelease(routes: App, { accounts, personal }: ApiParts): void {
  routes.post(
    '/internal/credits/refund-reservation',
    {
      config: service,
      schema: {
        tags: ['services'],
        body: releaseBody,
        response: {
          200: z.object({ success: z.literal(true), balance: creditsSchema, released: creditsSchema }),
          '4xx': errorSchema,
        },
      },
    },
    async (request, reply) => {
      const { userId, revision } = holdOf(request.body.reservationId);
      const outcome = await runCommand(accounts, { request, reply }, userId, {
        type: 'ReleaseReservation',
        reservation: revision,
        personal: await reading(() => personal.seal(userId, accountStream(userId), { reason: request.body.reason ?? undefined })),
      });
      if (outcome.kind !== 'accepted' || outcome.event.type !== 'ReservationReleased')
        throw new Error('a release answers with a release');
      const { data } = outcome.event;
      return { success: true as const, balance: creditsFromMicro(data.after.available), released: creditsFromMicro(data.amount) };
    },
  );
}

function addLookUp(routes: App, parts: ApiParts): void {
  routes.get(
    '/internal/credits/reservations/:id',
    {
      config: { access: { kind: 'service', scope: 'credits:read' } },
      schema: {
        tags: ['services'],
        params: z.object({ id: idSchema }),
        response: { 200: reservationSchema, '4xx': errorSchema },
      },
    },
    async (request) => {
      const { userId, revision } = holdOf(request.params.id);
      return reading(async () => reservationAnswer(parts, request.params.id, await findHold(parts, userId, revision)));
    },
  );
}

/** Whose hold an id names. Throws 404 where it names none. */
function holdOf(reservationId: string): { userId: string; revision: number } {
  const ref = parseWireId('rsv', reservationId);
  const userId = ref && userOfStream(ref.stream);
  if (ref === undefined || userId === undefined || !userIdSchema.safeParse(userId).success) throw notFound();
  return { userId, revision: ref.revision };
}

function notFound(): ApiError {
  return new ApiError(404, 'reservation_not_found', 'There is no such reservation');
}

/** A hold that was just made may not be applied yet: its id says how far the read side has to be. */
async function findHold({ db }: ApiParts, userId: string, revision: number): Promise<Reservation> {
  const found = await findReservation(db, userId, revision);
  if (found !== undefined) return found;
  try {
    await waitUntilVisible(db, [[accountStream(userId), revision]]);
  } catch (error) {
    // Nobody can tell a hold that is late from one that never was.
    if (error instanceof ApiError) throw notFound();
    throw error;
  }
  const late = await findReservation(db, userId, revision);
  if (late === undefined) throw notFound();
  return late;
}

async function reservationAnswer({ personal, clock }: ApiParts, reservationId: string, found: Reservation) {
  const [said] = await personal.open([{ stream: accountStream(found.userId), ciphertext: found.personal }]);
  const isOver = found.status === 'held' && found.expiresAt.getTime() <= clock.now();
  return {
    reservationId,
    userId: found.userId,
    status: isOver ? ('expired' as const) : found.status,
    amount: creditsFromMicro(found.amount),
    creditsUsed: creditsFromMicro(found.taken),
    released: creditsFromMicro(isOver ? found.amount : found.released),
    appId: found.appId ?? found.app,
    reason: said?.reason ?? null,
    description: said?.description ?? null,
    metadata: (said?.metadata ?? null) as { [key: string]: unknown } | null,
    createdAt: found.createdAt.toISOString(),
    expiresAt: found.expiresAt.toISOString(),
    settledAt: found.settledAt?.toISOString() ?? null,
  };
}
