import { z } from 'zod';
import { accountStream } from '../events/account-events.ts';
import { micro, ZERO } from '../events/amounts.ts';
import { type Balance, findBalance } from '../projections/balances.ts';
import { findExpiring } from '../projections/grants.ts';
import { accountNow } from './account-now.ts';
import { callingUser } from './auth.ts';
import { balanceAnswer, balanceOfState, MAX_EXPIRING } from './answers.ts';
import { type ApiParts, reading, type Routes, typed } from './parts.ts';
import { minRevisionOf, type Revisions, waitUntilVisible } from './revisions.ts';
import { runCommand } from './run-command.ts';
import { balanceSchema, errorSchema, userIdSchema } from './schemas.ts';

const NONE = { available: ZERO, frozen: ZERO, reserved: ZERO, debt: ZERO, earned: ZERO, spent: ZERO };
const NOTHING: Balance = { ...NONE, dueAt: null, revision: -1 };

const minRevisionQuery = z.object({ minRevision: z.string().optional() });

/** What an account holds, for its user and for services. */
export const balanceRoutes: Routes = (parts) => async (app) => {
  const routes = typed(app);
  addBalances(routes, parts);
  addInit(routes, parts);
};

type App = ReturnType<typeof typed>;

function addBalances(routes: App, parts: ApiParts): void {
  routes.get(
    '/credits/balance',
    {
      config: { access: { kind: 'user' } },
      schema: { tags: ['credits'], querystring: minRevisionQuery, response: { 200: balanceSchema, '4xx': errorSchema } },
    },
    async (request) => {
      const userId = callingUser(request);
      return balanceNow(parts, userId, minRevisionOf(request, accountStream(userId)));
    },
  );

  routes.get(
    '/internal/credits/balance/:userId',
    {
      config: { access: { kind: 'service', scope: 'credits:read' } },
      schema: {
        tags: ['services'],
        params: z.object({ userId: userIdSchema }),
        querystring: minRevisionQuery,
        response: { 200: balanceSchema, '4xx': errorSchema },
      },
    },
    async (request) => {
      const { userId } = request.params;
      return balanceNow(parts, userId, minRevisionOf(request, accountStream(userId)));
    },
  );
}

function addInit(routes: App, parts: ApiParts): void {
  routes.post(
    '/internal/credits/init',
    {
      config: { access: { kind: 'service', scope: 'credits:write' } },
      schema: {
        tags: ['services'],
        body: z.object({ userId: userIdSchema }),
        response: { 200: balanceSchema, '4xx': errorSchema },
      },
    },
    async (request, reply) => {
      const { userId } = request.body;
      const outcome = await runCommand(parts.accounts, { request, reply }, userId, {
        type: 'OpenAccount',
        signupGrant: micro(parts.signupGrant),
      });
      if (outcome.kind === 'unchanged') return balanceOfState(userId, outcome.state, outcome.revision);
      // What the event left, not what is there now: the same key gives the same answer again.
      const { data, revision } = outcome.event;
      const answer = balanceAnswer(userId, data.after, [], revision);
      // Only an account that stood before can hold something that runs out; no event says what.
      return revision <= 1 ? answer : { ...answer, expiring: (await stateNow(parts, userId)).expiring };
    },
  );
}

/** The balance from the read model; where something of it has run out meanwhile, from the account itself. */
async function balanceNow(parts: ApiParts, userId: string, seen: Revisions) {
  const row = await reading(async () => {
    await waitUntilVisible(parts.db, seen);
    return (await findBalance(parts.db, userId)) ?? NOTHING;
  });
  if (row.dueAt !== null && row.dueAt.getTime() <= parts.clock.now()) return stateNow(parts, userId);
  const expiring = row.dueAt === null ? [] : await reading(() => findExpiring(parts.db, userId, MAX_EXPIRING));
  return balanceAnswer(userId, row, expiring, row.revision);
}

/** The balance from the account's head, with all that has run out by now written down. */
async function stateNow(parts: ApiParts, userId: string) {
  const { state, revision } = await accountNow(parts.accounts, userId);
  return balanceOfState(userId, state, revision);
}
