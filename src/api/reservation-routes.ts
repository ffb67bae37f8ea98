import { z } from 'zod';
import { accountStream } from '../events/account-events.ts';
import { creditsFromMicro } from '../events/amounts.ts';
import { findReservation, type Reservation } from '../projections/reservations.ts';
import { runAction } from './actions/action.ts';
import { reserve, reserveAnswer } from './actions/reserve.ts';
import { commit, commitAnswer, holdOf, noReservation, release, releaseAnswer, reservationIdSchema } from './actions/settle.ts';
import { type ApiParts, reading, type Routes, typed } from './parts.ts';
import { minRevisionOf, waitUntilVisible } from './revisions.ts';
import { creditsSchema, errorSchema } from './schemas.ts';

const reservationSchema = z.object({
  reservationId: z.string(),
  userId: z.string(),
  status: z.enum(['held', 'consumed', 'released', 'expired']),
  amount: creditsSchema,
  creditsUsed: creditsSchema,
  released: creditsSchema,
  uncovered: creditsSchema
    .optional()
    .meta({ description: 'What was asked for beside the amount and not covered; once it is consumed, what was used of that' }),
  appId: z.string(),
  reason: z.string().nullable(),
  description: z.string().nullable(),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  createdAt: z.string(),
  expiresAt: z.string(),
  settledAt: z.string().nullable(),
});

const config = { access: { kind: 'service', scope: 'credits:write' } } as const;
const tags = ['services'];

/** Holding credits while work is done, and settling the hold. */
export const reservationRoutes: Routes = (parts) => async (app) => {
  const routes = typed(app);

  routes.post(
    '/internal/credits/reserve',
    { config, schema: { tags, body: reserve.body, response: { 200: reserveAnswer, '4xx': errorSchema } } },
    async (request, reply) => runAction(parts, { request, reply }, reserve, request.body),
  );

  routes.post(
    '/internal/credits/commit',
    { config, schema: { tags, body: commit.body, response: { 200: commitAnswer, '4xx': errorSchema } } },
    async (request, reply) => runAction(parts, { request, reply }, commit, request.body),
  );

  routes.post(
    '/internal/credits/refund-reservation',
    { config, schema: { tags, body: release.body, response: { 200: releaseAnswer, '4xx': errorSchema } } },
    async (request, reply) => runAction(parts, { request, reply }, release, request.body),
  );

  addLookUp(routes, parts);
};

type App = ReturnType<typeof typed>;

function addLookUp(routes: App, parts: ApiParts): void {
  routes.get(
    '/internal/credits/reservations/:id',
    {
      config: { access: { kind: 'service', scope: 'credits:read' } },
      schema: {
        tags: ['services'],
        params: z.object({ id: reservationIdSchema }),
        querystring: z.object({ minRevision: z.string().optional() }),
        response: { 200: reservationSchema, '4xx': errorSchema },
      },
    },
    async (request) => {
      const { userId, revision } = holdOf(request.params.id);
      const seen = minRevisionOf(request, accountStream(userId));
      return reading(async () => {
        await waitUntilVisible(parts.db, seen);
        return reservationAnswer(parts, request.params.id, await findHold(parts, userId, revision));
      });
    },
  );
}

/** A hold that was just made may not be applied yet: its id says how far the read side has to be. */
async function findHold({ db, store }: ApiParts, userId: string, revision: number): Promise<Reservation> {
  const found = await findReservation(db, userId, revision);
  if (found !== undefined) return found;
  const stream = accountStream(userId);
  // The log tells a hold that is late from one that never was.
  const [event] = await store.readStream(stream, { from: revision, limit: 1 });
  if (event?.type !== 'CreditsReserved') throw noReservation();
  await waitUntilVisible(db, [[stream, revision]]);
  const late = await findReservation(db, userId, revision);
  if (late === undefined) throw noReservation();
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
    ...(found.uncovered > 0 && { uncovered: creditsFromMicro(found.uncovered) }),
    appId: found.appId ?? found.app,
    reason: said?.reason ?? null,
    description: said?.description ?? null,
    metadata: (said?.metadata ?? null) as { [key: string]: unknown } | null,
    createdAt: found.createdAt.toISOString(),
    expiresAt: found.expiresAt.toISOString(),
    settledAt: found.settledAt?.toISOString() ?? null,
  };
}
