import { runAction } from './actions/action.ts';
import { grant, grantAnswer } from './actions/grant.ts';
import { type Routes, typed } from './parts.ts';
import { errorSchema } from './schemas.ts';

/** Giving credits: once for each reason and reference of an account. */
export const grantRoutes: Routes = (parts) => async (app) => {
  typed(app).post(
    '/internal/credits/grant',
    {
      config: { access: { kind: 'service', scope: 'credits:grant' } },
      schema: { tags: ['services'], body: grant.body, response: { 200: grantAnswer, '4xx': errorSchema } },
    },
    async (request, reply) => runAction(parts, { request, reply }, grant, request.body),
  );
};
