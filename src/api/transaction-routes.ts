import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { accountStream } from '../events/account-events.ts';
import { listTransactions, TRANSACTION_TYPES } from '../projections/transactions.ts';
import { callingUser } from './auth.ts';
import { transactionAnswers } from './answers.ts';
import { invalid } from './errors.ts';
import { type ApiParts, reading, type Routes, typed } from './parts.ts';
import { minRevisionOf, waitUntilVisible } from './revisions.ts';
import { errorSchema, labelSchema, transactionSchema, userIdSchema } from './schemas.ts';
import { rangeEnd, rangeStart, timeOrDaySchema } from './time-range.ts';

const query = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
  cursor: z
    .string()
    .max(100)
    .transform((text, context) => {
      const revision = revisionOfCursor(text);
      if (revision === undefined) context.addIssue({ code: 'custom', message: 'must be a cursor from a Link header' });
      return revision ?? z.NEVER;
    })
    .optional()
    .meta({ type: 'string', description: 'Where the page before ended: from its Link header' }),
  type: z.enum(TRANSACTION_TYPES).optional(),
  appId: labelSchema.optional(),
  from: timeOrDaySchema.optional().meta({ description: 'From this time or day (UTC) on' }),
  to: timeOrDaySchema.optional().meta({ description: 'Up to this time, or the end of this day (UTC)' }),
  minRevision: z.string().optional(),
});

/** What happened to an account, newest first. */
export const transactionRoutes: Routes = (parts) => async (app) => {
  const routes = typed(app);
  const response = { 200: z.array(transactionSchema), '4xx': errorSchema };

  routes.get(
    '/credits/transactions',
    { config: { access: { kind: 'user' } }, schema: { tags: ['credits'], querystring: query, response } },
    async (request, reply) => list(parts, { request, reply }, callingUser(request), request.query),
  );

  routes.get(
    '/internal/credits/transactions/:userId',
    {
      config: { access: { kind: 'service', scope: 'credits:read' } },
      schema: { tags: ['services'], params: z.object({ userId: userIdSchema }), querystring: query, response },
    },
    async (request, reply) => list(parts, { request, reply }, request.params.userId, request.query),
  );
};

/** A page, with where the next one is in the Link header while there is one (RFC 8288). */
async function list(
  { db, personal }: ApiParts,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  userId: string,
  { limit, offset, cursor, type, appId, from, to }: z.infer<typeof query>,
) {
  if (cursor !== undefined && offset > 0) throw invalid([{ path: 'offset', message: 'must not come with a cursor' }]);
  const range = { from: from === undefined ? undefined : rangeStart(from), until: to === undefined ? undefined : rangeEnd(to) };
  return reading(async () => {
    await waitUntilVisible(db, minRevisionOf(request, accountStream(userId)));
    // One more than is shown tells whether there are more.
    const wanted = { limit: limit + 1, offset, before: cursor, type, app: appId, ...range };
    const rows = await listTransactions(db, userId, wanted);
    const shown = rows.slice(0, limit);
    const last = shown.at(-1);
    if (last !== undefined && rows.length > limit) {
      void reply.header('link', `<${nextPage(request, last.revision)}>; rel="next"`);
    }
    return transactionAnswers(personal, shown);
  });
}

/** The same request for the page behind a revision, as a path. */
function nextPage(request: FastifyRequest, revision: number): string {
  const { pathname, searchParams } = new URL(request.url, 'http://path');
  searchParams.delete('offset');
  // The next page is older than what was waited for.
  searchParams.delete('minRevision');
  searchParams.set('cursor', cursorOf(revision));
  return `${pathname}?${searchParams.toString()}`;
}

/** Opaque to callers, so that it can one day hold more. */
function cursorOf(revision: number): string {
  return Buffer.from(JSON.stringify({ before: revision })).toString('base64url');
}

const cursorSchema = z.object({ before: z.int().nonnegative() });

function revisionOfCursor(text: string): number | undefined {
  try {
    const parsed = cursorSchema.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
    return parsed.data?.before;
  } catch {
    return undefined;
  }
}
