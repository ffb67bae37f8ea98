import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { ApiError } from './errors.ts';
import { reading, type Routes, typed } from './parts.ts';
import { errorSchema, userIdSchema } from './schemas.ts';

/**
 * Erasing a person: their keys are deleted, so that nobody can read their words again. Amounts, hashes and outcomes stay
 * as they are. May be repeated: then there is nothing left to erase.
 */
export const privacyRoutes: Routes =
  ({ personal }) =>
  async (app) => {
    typed(app).post(
      '/internal/privacy/erase',
      {
        config: { access: { kind: 'service', scope: 'privacy:erase' } },
        schema: {
          tags: ['services'],
          description: 'Deletes the keys under which the words of a person are encrypted. Says how many there were.',
          body: z.object({ userId: userIdSchema }),
          response: { 200: z.object({ erased: z.number() }), '4xx': errorSchema },
        },
      },
      async (request) => {
        const by = nameOf(request);
        return { erased: await reading(() => personal.erase(request.body.userId, by)) };
      },
    );
  };

/** Who erases, as it is kept beside what was erased: the app, and which of its keys it called with. */
function nameOf({ caller }: FastifyRequest): string {
  if (caller?.actor.kind !== 'service') throw new ApiError(401, 'unauthorized', 'A valid X-Service-Key is needed');
  return `app:${caller.actor.app} key:${caller.actor.key}`;
}
