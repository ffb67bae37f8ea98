import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { accountStream } from '../events/account-events.ts';
import { creditsFromMicro } from '../events/amounts.ts';
import { findUsage, GROUPINGS, type Usage } from '../projections/usage-stats.ts';
import { callingUser } from './auth.ts';
import { invalid } from './errors.ts';
import { type ApiParts, reading, type Routes, typed } from './parts.ts';
import { minRevisionOf, waitUntilVisible } from './revisions.ts';
import { creditsSchema, errorSchema, userIdSchema } from './schemas.ts';
import { dayOf, rangeEnd, rangeStart, timeOrDaySchema } from './time-range.ts';

const DAY = 24 * 60 * 60 * 1_000;
/** Days that are shown where the caller doesn't say, and at the most. */
const USUAL_DAYS = 30;
const MAX_DAYS = 3_660;
/** Groups at the most. */
const MAX_GROUPS = 4_000;

const query = z.object({
  from: timeOrDaySchema.optional(),
  to: timeOrDaySchema.optional(),
  groupBy: z.enum(GROUPINGS).default('day'),
  minRevision: z.string().optional(),
});

const usageSchema = z.object({
  uses: z.number(),
  creditsUsed: creditsSchema.meta({ description: 'What was covered, in credits' }),
  refunded: creditsSchema.meta({ description: 'What came back, on the day on which it did' }),
  quantity: z.number().meta({ description: 'Units of priced operations, free ones among them' }),
  freeUnits: z.number(),
  uncovered: creditsSchema.meta({ description: 'What was used and nobody pays' }),
});

const answer = z.object({
  userId: z.string(),
  from: z.string().meta({ description: 'The first day, UTC' }),
  to: z.string().meta({ description: 'The last day, UTC' }),
  groupBy: z.enum(GROUPINGS),
  total: usageSchema,
  groups: z.array(
    usageSchema.extend({
      day: z.string().optional(),
      appId: z.string().optional(),
      operation: z.string().nullable().optional(),
    }),
  ),
  complete: z.boolean().meta({ description: `Whether these are all groups: at most ${MAX_GROUPS} are shown` }),
});

/** What an account used, by day, app or operation. */
export const usageRoutes: Routes = (parts) => async (app) => {
  const routes = typed(app);

  routes.get(
    '/credits/usage',
    {
      config: { access: { kind: 'user' } },
      schema: { tags: ['credits'], querystring: query, response: { 200: answer, '4xx': errorSchema } },
    },
    async (request) => usageOf(parts, request, callingUser(request), request.query),
  );

  routes.get(
    '/internal/credits/usage/:userId',
    {
      config: { access: { kind: 'service', scope: 'credits:read' } },
      schema: {
        tags: ['services'],
        params: z.object({ userId: userIdSchema }),
        querystring: query,
        response: { 200: answer, '4xx': errorSchema },
      },
    },
    async (request) => usageOf(parts, request, request.params.userId, request.query),
  );
};

async function usageOf(
  { db, clock }: ApiParts,
  request: FastifyRequest,
  userId: string,
  asked: z.infer<typeof query>,
): Promise<z.infer<typeof answer>> {
  const { from, to } = daysOf(asked, clock.now());
  const { groupBy } = asked;
  const { total, groups } = await reading(async () => {
    await waitUntilVisible(db, minRevisionOf(request, accountStream(userId)));
    return findUsage(db, userId, { from, to, groupBy, limit: MAX_GROUPS + 1 });
  });
  return {
    userId,
    from,
    to,
    groupBy,
    total: usageAnswer(total),
    groups: groups.slice(0, MAX_GROUPS).map(({ day, app, operation, ...usage }) => ({
      ...(day !== null && { day }),
      ...(app !== null && { appId: app }),
      ...(groupBy === 'operation' && { operation }),
      ...usageAnswer(usage),
    })),
    complete: groups.length <= MAX_GROUPS,
  };
}

/** The first and the last day of what is asked for: days that a range only touches are shown whole. */
function daysOf({ from, to }: Pick<z.infer<typeof query>, 'from' | 'to'>, now: number): { from: string; to: string } {
  const end = to === undefined ? new Date(now + 1) : rangeEnd(to);
  const last = new Date(end.getTime() - 1);
  const first = from === undefined ? new Date(last.getTime() - (USUAL_DAYS - 1) * DAY) : rangeStart(from);
  if (first >= end) throw invalid([{ path: 'from', message: 'must lie before to' }]);
  if (end.getTime() - first.getTime() > MAX_DAYS * DAY) {
    throw invalid([{ path: 'from', message: `must lie at most ${MAX_DAYS} days before to` }]);
  }
  return { from: dayOf(first), to: dayOf(last) };
}

function usageAnswer({ uses, amount, refunded, quantity, freeUnits, uncovered }: Usage): z.infer<typeof usageSchema> {
  return {
    uses,
    creditsUsed: creditsFromMicro(amount),
    refunded: creditsFromMicro(refunded),
    quantity,
    freeUnits,
    uncovered: creditsFromMicro(uncovered),
  };
}
