import { runAction } from './actions/action.ts';
import { ownUseBody, use, useAnswer } from './actions/use.ts';
import { callingUser } from './auth.ts';
import { type Routes, typed } from './parts.ts';
import { errorSchema } from './schemas.ts';

/** Using credits in one step, for users and for services. */
export const useRoutes: Routes = (parts) => async (app) => {
  const routes = typed(app);

  routes.post(
    '/credits/use',
    {
      config: { access: { kind: 'user' } },
      schema: { tags: ['credits'], body: ownUseBody, response: { 200: useAnswer, '4xx': errorSchema } },
    },
    async (request, reply) => runAction(parts, { request, reply }, use, { ...request.body, userId: callingUser(request) }),
  );

  routes.post(
    '/internal/credits/use',
    {
      config: { access: { kind: 'service', scope: 'credits:write' } },
      schema: { tags: ['services'], body: use.body, response: { 200: useAnswer, '4xx': errorSchema } },
    },
    async (request, reply) => runAction(parts, { request, reply }, use, request.body),
  );
};
