import { ROLES, type Role, type Scope } from '../../src/api/access.ts';

/*
 * Who may call what, route by route. Whoever adds a route adds a row: route-callers.test.ts tries all of them by every
 * caller there is, and fails where one is missing.
 */

/** Who may call: anybody, users of these roles, services that have all of these scopes. */
export type Who = { readonly public?: true; readonly roles?: readonly Role[]; readonly scopes?: readonly Scope[] };

export type Row = {
  /** As it is registered. */
  readonly route: string;
  readonly who: Who;
  /** The status that whoever may call gets. */
  readonly answers: number;
  /** What stands for the parameters in its path. */
  readonly params?: Readonly<Record<string, string>>;
  readonly body?: object;
};

const PUBLIC: Who = { public: true };
const USERS: Who = { roles: ROLES };
const service = (...scopes: readonly Scope[]): Who => ({ scopes });
const either = (scope: Scope, ...roles: readonly Role[]): Who => ({ scopes: [scope], roles });

const READ = service('credits:read');
const WRITE = service('credits:write');
const CATALOGUE = either('catalogue:write', 'admin');

/** An account that exists, whose user is one of the callers, and one that doesn't. */
export const OWNER = 'ada-lovelace';
const NOBODY = 'nobody';
const NO_SUCH_HOLD = 'rsv_1_account-nobody';
const NO_SUCH_TRANSACTION = 'txn_1_account-nobody';
const PRICE = { cost: 1 };
const PACKAGE = { name: 'Small', credits: 100, priceEuroCents: 199 };

export const ROWS: readonly Row[] = [
  { route: 'GET /docs/json', who: PUBLIC, answers: 200 },
  { route: 'GET /health', who: PUBLIC, answers: 200 },
  { route: 'GET /ready', who: PUBLIC, answers: 200 },
  { route: 'GET /metrics', who: PUBLIC, answers: 200 },

  { route: 'GET /api/v1/credits/packages', who: PUBLIC, answers: 200 },
  { route: 'GET /api/v1/credits/balance', who: USERS, answers: 200 },
  { route: 'GET /api/v1/credits/transactions', who: USERS, answers: 200 },
  { route: 'GET /api/v1/credits/usage', who: USERS, answers: 200 },
  { route: 'GET /api/v1/credits/explain', who: USERS, answers: 200 },
  { route: 'POST /api/v1/credits/use', who: USERS, answers: 402, body: { amount: 1_000_000 } },

  { route: 'GET /api/v1/internal/credits/balance/:userId', who: READ, answers: 200, params: { userId: OWNER } },
  { route: 'GET /api/v1/internal/credits/transactions/:userId', who: READ, answers: 200, params: { userId: OWNER } },
  { route: 'GET /api/v1/internal/credits/usage/:userId', who: READ, answers: 200, params: { userId: OWNER } },
  { route: 'GET /api/v1/internal/credits/explain/:userId', who: READ, answers: 200, params: { userId: OWNER } },
  { route: 'GET /api/v1/internal/credits/reservations/:id', who: READ, answers: 404, params: { id: 'rsv_none' } },
  { route: 'POST /api/v1/internal/credits/validate', who: READ, answers: 200, body: { userId: OWNER, amount: 1 } },
  { route: 'POST /api/v1/internal/credits/init', who: WRITE, answers: 200, body: { userId: OWNER } },
  { route: 'POST /api/v1/internal/credits/use', who: WRITE, answers: 402, body: { userId: NOBODY, amount: 1 } },
  { route: 'POST /api/v1/internal/credits/reserve', who: WRITE, answers: 402, body: { userId: NOBODY, amount: 1 } },
  { route: 'POST /api/v1/internal/credits/commit', who: WRITE, answers: 404, body: { reservationId: NO_SUCH_HOLD } },
  { route: 'POST /api/v1/internal/credits/refund-reservation', who: WRITE, answers: 404, body: { reservationId: NO_SUCH_HOLD } },
  {
    route: 'POST /api/v1/internal/credits/refund',
    who: WRITE,
    answers: 404,
    body: { userId: OWNER, amount: 1, transactionId: NO_SUCH_TRANSACTION },
  },
  {
    route: 'POST /api/v1/internal/credits/refund',
    who: service('credits:write', 'credits:refund-unlinked'),
    answers: 200,
    body: { userId: OWNER, amount: 1 },
  },
  {
    route: 'POST /api/v1/internal/credits/grant',
    who: service('credits:grant'),
    answers: 200,
    body: { userId: OWNER, amount: 1, reason: 'table', referenceId: 'once' },
  },
  {
    route: 'POST /api/v1/internal/credits/batch',
    who: WRITE,
    answers: 200,
    body: { commands: [{ type: 'use', userId: NOBODY, amount: 1 }] },
  },
  { route: 'POST /api/v1/internal/privacy/erase', who: service('privacy:erase'), answers: 200, body: { userId: NOBODY } },

  { route: 'GET /api/v1/catalogue/operations', who: CATALOGUE, answers: 200 },
  {
    route: 'PUT /api/v1/catalogue/operations/:app/:operation',
    who: CATALOGUE,
    answers: 200,
    params: { app: 'table', operation: 'paint' },
    body: PRICE,
  },
  {
    route: 'GET /api/v1/catalogue/operations/:app/:operation',
    who: CATALOGUE,
    answers: 200,
    params: { app: 'table', operation: 'paint' },
  },
  {
    route: 'DELETE /api/v1/catalogue/operations/:app/:operation',
    who: CATALOGUE,
    answers: 404,
    params: { app: 'table', operation: 'none' },
  },
  { route: 'GET /api/v1/catalogue/packages', who: CATALOGUE, answers: 200 },
  { route: 'PUT /api/v1/catalogue/packages/:id', who: CATALOGUE, answers: 200, params: { id: 'small' }, body: PACKAGE },
  { route: 'GET /api/v1/catalogue/packages/:id', who: CATALOGUE, answers: 200, params: { id: 'small' } },
  { route: 'DELETE /api/v1/catalogue/packages/:id', who: CATALOGUE, answers: 404, params: { id: 'none' } },
  { route: 'GET /api/v1/catalogue/apps/:app/mode', who: CATALOGUE, answers: 200, params: { app: 'table' } },
  {
    route: 'PUT /api/v1/catalogue/apps/:app/mode',
    who: CATALOGUE,
    answers: 200,
    params: { app: 'table' },
    body: { mode: 'enforce' },
  },
];
