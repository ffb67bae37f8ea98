import { z } from 'zod';
import type { Account } from '../commands/account.ts';
import { balancesOf, opening } from '../commands/balances.ts';
import { type Asked, chargeOf } from '../commands/price.ts';
import { creditsFromMicro, formatCredits, type Micro, wholeBundles } from '../events/amounts.ts';
import { accountNow } from './account-now.ts';
import { chargeFrom, chargeShape, checkCharge, WITH_OTHERS } from './actions/pricing.ts';
import { ApiError, errorOfRejection } from './errors.ts';
import { type Routes, typed } from './parts.ts';
import { creditsSchema, errorSchema, userIdSchema } from './schemas.ts';

const validateBody = z.object({ ...chargeShape, userId: userIdSchema }).superRefine(checkCharge, WITH_OTHERS);

const validateAnswer = z.object({
  hasCredits: z.boolean(),
  availableCredits: creditsSchema,
  requiredCredits: creditsSchema,
  freeUsesRemaining: z.number().optional().meta({ description: 'Where the operation has a free allowance' }),
  message: z.string().optional(),
});

/** Whether an account could pay for something. */
export const validateRoutes: Routes = (parts) => async (app) => {
  typed(app).post(
    '/internal/credits/validate',
    {
      config: { access: { kind: 'service', scope: 'credits:read' } },
      schema: {
        tags: ['services'],
        description: 'A hint: to be sure, reserve.',
        body: validateBody,
        response: { 200: validateAnswer, '4xx': errorSchema },
      },
    },
    async (request) => {
      const { caller, body } = request;
      if (caller === null) throw new ApiError(401, 'unauthorized', 'It is not known who calls');
      const { amount, observed } = chargeFrom(parts, caller, body);
      const { state } = await accountNow(parts.accounts, body.userId);
      return answerOf(state, amount, { observed, now: parts.clock.now() });
    },
  );
};

function answerOf(account: Account, asked: Asked, { observed, now }: { readonly observed: boolean; readonly now: number }) {
  const charge = chargeOf(asked, account.status === 'open' ? account : opening().account, now);
  if ('code' in charge) throw errorOfRejection(charge);
  const { amount: required, free, price } = charge;
  const { available } = balancesOf(account);
  const hasCredits = observed || (account.status === 'open' && available >= required);
  return {
    hasCredits,
    availableCredits: creditsFromMicro(available),
    requiredCredits: creditsFromMicro(required),
    // Before this use, which may never be made.
    ...(free && price && { freeUsesRemaining: wholeBundles(free.remaining + free.units, price.per) }),
    ...(!hasCredits && { message: shortOf(required, available) }),
  };
}

function shortOf(required: Micro, available: Micro): string {
  return `Insufficient credits. Required: ${formatCredits(required)}, Available: ${formatCredits(available)}`;
}
