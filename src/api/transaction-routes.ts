import { z } from 'zod';
import { accountStream } from '../events/account-events.ts';
import { listTransactions } from '../projections/transactions.ts';
import { callingUser } from './auth.ts';
import { transactionAnswers } from './answers.ts';
import { reading, type Routes, typed } from './parts.ts';
import { minRevisionOf, waitUntilVisible } from './revisions.ts';
import { errorSchema, transactionSchema, userIdSchema } from './schemas.ts';

const query = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
  minRevision: z.string().optional(),
});

/** What happened to an account, newest first. */
export const transactionRoutes: Routes =
  ({ db, personal }) =>
  async (app) => {
    const routes = typed(app);

    const list = (userId: string, page: z.infer<typeof query>, seen: ReturnType<typeof minRevisionOf>) =>
      reading(async () => {
        await waitUntilVisible(db, seen);
        return transactionAnswers(personal, await listTransactions(db, userId, page));
      });

    routes.get(
      '/credits/transactions',
      {
        config: { access: { kind: 'user' } },
        schema: { tags: ['credits'], querystring: query, response: { 200: z.array(transactionSchema), '4xx': errorSchema } },
      },
      async (request) => {
        const userId = callingUser(request);
        return list(userId, request.query, minRevisionOf(request, accountStream(userId)));
      },
    );

    routes.get(
      '/internal/credits/transactions/:userId',
      {
        config: { access: { kind: 'service', scope: 'credits:read' } },
        schema: {
          tags: ['services'],
          params: z.object({ userId: userIdSchema }),
          querystring: query,
          response: { 200: z.array(transactionSchema), '4xx': errorSchema },
        },
      },
      async (request) => {
        const { userId } = request.params;
        return list(userId, request.query, minRevisionOf(request, accountStream(userId)));
      },
    );
  };
