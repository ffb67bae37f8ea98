import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { accountStream } from '../events/account-events.ts';
import { creditsFromMicro, type Micro } from '../events/amounts.ts';
import { transactionOf } from '../projections/transactions.ts';
import { callingUser } from './auth.ts';
import { transactionAnswers } from './answers.ts';
import { type ApiParts, reading, type Routes, typed } from './parts.ts';
import { runCommand } from './run-command.ts';
import {
  callerMetadataSchema,
  creditsSchema,
  errorSchema,
  idempotencyKeySchema,
  labelSchema,
  positiveAmountSchema,
  textSchema,
  transactionSchema,
  userIdSchema,
} from './schemas.ts';

const useBody = z.object({
  amount: positiveAmountSchema,
  appId: labelSchema.nullish(),
  description: textSchema(1_000).nullish(),
  metadata: callerMetadataSchema.nullish(),
  idempotencyKey: idempotencyKeySchema.nullish(),
  // Taking a guild's credits from the user instead would be wrong: better refused.
  creditSource: z.object({ type: z.literal('personal', 'only personal credits can be used') }).nullish(),
});

const useAnswer = z.object({
  success: z.literal(true),
  transaction: transactionSchema,
  newBalance: z.object({ balance: creditsSchema, totalSpent: creditsSchema }),
  creditsUsed: creditsSchema,
});

/** Using credits in one step. */
export const useRoutes: Routes = (parts) => async (app) => {
  const routes = typed(app);

  routes.post(
    '/credits/use',
    {
      config: { access: { kind: 'user' } },
      schema: { tags: ['credits'], body: useBody, response: { 200: useAnswer, '4xx': errorSchema } },
    },
    async (request, reply) => {
      const userId = callingUser(request);
      return use(parts, { request, reply }, userId, request.body);
    },
  );

  routes.post(
    '/internal/credits/use',
    {
      config: { access: { kind: 'service', scope: 'credits:write' } },
      schema: {
        tags: ['services'],
        body: useBody.extend({ userId: userIdSchema }),
        response: { 200: useAnswer, '4xx': errorSchema },
      },
    },
    async (request, reply) => use(parts, { request, reply }, request.body.userId, request.body),
  );
};

async function use(
  { accounts, personal }: ApiParts,
  exchange: { request: FastifyRequest; reply: FastifyReply },
  userId: string,
  body: { amount: Micro } & Omit<z.infer<typeof useBody>, 'amount'>,
) {
  const words = { description: body.description ?? undefined, metadata: body.metadata ?? undefined };
  const outcome = await runCommand(accounts, exchange, userId, {
    type: 'UseCredits',
    amount: body.amount,
    operation: null,
    appId: body.appId ?? null,
    personal: await reading(() => personal.seal(userId, accountStream(userId), words)),
  });
  if (outcome.kind !== 'accepted' || outcome.event.type !== 'CreditsConsumed')
    throw new Error('a use answers with a consumption');
  const { event } = outcome;
  const row = transactionOf({ userId, event });
  const [transaction] = await reading(() => transactionAnswers(personal, row === undefined ? [] : [row]));
  const { available, spent } = event.data.after;
  return {
    success: true as const,
    transaction: transaction as NonNullable<typeof transaction>,
    newBalance: { balance: creditsFromMicro(available), totalSpent: creditsFromMicro(spent) },
    creditsUsed: creditsFromMicro(event.data.amount),
  };
}
