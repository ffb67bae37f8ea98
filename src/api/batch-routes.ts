import { z } from 'zod';
import { runAtomic } from './batch/all-or-none.ts';
import { runEach } from './batch/each.ts';
import { type Item, ITEM_TYPES } from './batch/items.ts';
import { ApiError } from './errors.ts';
import { type Routes, typed } from './parts.ts';
import { keyOf } from './run-command.ts';
import { errorSchema, idempotencyKeySchema } from './schemas.ts';

const MAX_COMMANDS = 1_000;
/** In bytes: a thousand commands with words of their own. */
const BODY_LIMIT = 4 * 1024 * 1024;

const batchBody = z.object({
  commands: z
    .array(z.looseObject({ type: z.enum(ITEM_TYPES), idempotencyKey: idempotencyKeySchema.nullish() }))
    .min(1)
    .max(MAX_COMMANDS),
  atomic: z.boolean().nullish(),
  idempotencyKey: idempotencyKeySchema.nullish(),
});

const batchAnswer = z.object({
  results: z.array(
    z.object({
      status: z.number(),
      body: z.record(z.string(), z.unknown()),
      revision: z.string().optional().meta({ description: 'The token of what the command wrote, as X-Ledger-Revision' }),
      idempotencyKey: z.string().optional(),
      idempotencyReplayed: z.literal(true).optional(),
    }),
  ),
});

/** Many commands in one request. */
export const batchRoutes: Routes = (parts) => async (app) => {
  typed(app).post(
    '/internal/credits/batch',
    {
      bodyLimit: BODY_LIMIT,
      // Each command needs its own scope; without the one that most need nobody has business here.
      config: { access: { kind: 'service', scope: 'credits:write' } },
      schema: {
        tags: ['services'],
        description:
          'Up to 1,000 commands, each with its own key and answer, those of one account in order; one without a key runs under the key of the request and its place, as `key:0`. With `atomic` at most 100 of one account under one key: all of them or none.',
        body: batchBody,
        response: { 200: batchAnswer, '4xx': errorSchema },
      },
    },
    async (request, reply) => {
      const { caller } = request;
      if (caller === null) throw new ApiError(401, 'unauthorized', 'It is not known who calls');
      // As supplied, since each command's own schema shapes it.
      const items = (request.supplied as { commands: readonly Item[] }).commands;
      if (request.body.atomic === true) return { results: [...(await runAtomic(parts, { request, reply, caller }, items))] };
      const bytes = Number(request.headers['content-length'] ?? 0);
      return { results: [...(await runEach(parts, { caller, correlationId: request.id, bytes }, keyOf(request), items))] };
    },
  );
};
