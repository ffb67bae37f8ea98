import { runAction } from './actions/action.ts';
import { refund, refundAnswer } from './actions/refund.ts';
import { type Routes, typed } from './parts.ts';
import { errorSchema } from './schemas.ts';

/** Giving credits back: what a consumption took, or out of goodwill. */
export const refundRoutes: Routes = (parts) => async (app) => {
  typed(app).post(
    '/internal/credits/refund',
    {
      // Goodwill needs a scope of its own beside this one.
      config: { access: { kind: 'service', scope: 'credits:write' } },
      schema: { tags: ['services'], body: refund.body, response: { 200: refundAnswer, '4xx': errorSchema } },
    },
    async (request, reply) => runAction(parts, { request, reply }, refund, request.body),
  );
};
