import { type Answer, type ApiClient, giveCredits, granted, holdCredits, textOf } from '../support/api-client.ts';
import type { Service } from '../support/service.ts';

/* Every route that changes something, with what a test of its idempotency keys has to know. */

const API = '/api/v1';
const SERVICES = `${API}/internal/credits`;

/** An account with something to settle and to give back, made by each of two apps. */
export type World = {
  readonly userId: string;
  readonly holds: Readonly<Record<App, readonly [toCommit: string, toRelease: string, another: string]>>;
  /** Ids of transactions that took 5 credits. */
  readonly used: Readonly<Record<App, string>>;
};

type App = 'one' | 'two';

/** Whose request: of the first app, the same app's under the same key though it is another, and another app's. */
type Which = 'one' | 'other' | 'two';

type Request = { readonly method: 'POST' | 'PUT' | 'DELETE'; readonly path: string; readonly body?: object };

export type Route = {
  /** As it is registered, to see that none is forgotten. */
  readonly registered: string;
  request(world: World, which: Which): Request;
  /** How many events one of these writes. */
  readonly events: number;
  /** For a user who was never seen. */
  readonly onNobody?: boolean;
  /** The first caller is the user, and not an app. */
  readonly byUser?: boolean;
  /** Brings about what it is to change. */
  before?(service: Service, world: World): Promise<void>;
};

const post = (path: string, body: object): Request => ({ method: 'POST', path: `${SERVICES}/${path}`, body });
const put = (path: string, body: object): Request => ({ method: 'PUT', path: `${API}/catalogue/${path}`, body });
const appOf = (which: Which): App => (which === 'two' ? 'two' : 'one');
/** An amount of its own for each. */
const AMOUNTS: Readonly<Record<Which, number>> = { one: 1, other: 2, two: 3 };

export const ROUTES: Readonly<Record<string, Route>> = {
  init: {
    registered: 'POST /internal/credits/init',
    request: ({ userId }, which) => post('init', { userId, ...(which === 'other' && { more: 1 }) }),
    events: 2,
    onNobody: true,
  },
  grant: {
    registered: 'POST /internal/credits/grant',
    request: ({ userId }, which) =>
      post('grant', { userId, amount: AMOUNTS[which], reason: 'again', referenceId: which, description: 'said' }),
    events: 1,
  },
  use: {
    registered: 'POST /internal/credits/use',
    request: ({ userId }, which) => post('use', { userId, amount: AMOUNTS[which], description: 'said', metadata: { a: [1] } }),
    events: 1,
  },
  'use by the user': {
    registered: 'POST /credits/use',
    request: ({ userId }, which) =>
      which === 'two'
        ? post('use', { userId, amount: 3 })
        : { method: 'POST', path: `${API}/credits/use`, body: { amount: AMOUNTS[which] } },
    events: 1,
    byUser: true,
  },
  reserve: {
    registered: 'POST /internal/credits/reserve',
    request: ({ userId }, which) => post('reserve', { userId, amount: AMOUNTS[which], reason: 'said', ttlSeconds: 60 }),
    events: 1,
  },
  commit: {
    registered: 'POST /internal/credits/commit',
    request: ({ holds }, which) =>
      post('commit', { reservationId: holds[appOf(which)][0], amount: AMOUNTS[which], metadata: { a: 1 } }),
    events: 1,
  },
  'refund-reservation': {
    registered: 'POST /internal/credits/refund-reservation',
    request: ({ holds }, which) =>
      post('refund-reservation', { reservationId: holds[appOf(which)][1], reason: which === 'other' ? 'other' : 'said' }),
    events: 1,
  },
  refund: {
    registered: 'POST /internal/credits/refund',
    request: ({ userId, used }, which) =>
      post('refund', { userId, amount: AMOUNTS[which], transactionId: used[appOf(which)], description: 'said' }),
    events: 1,
  },
  'refund without a usage': {
    registered: 'POST /internal/credits/refund',
    request: ({ userId }, which) => post('refund', { userId, amount: AMOUNTS[which], description: 'goodwill' }),
    events: 1,
  },
  'atomic batch': {
    registered: 'POST /internal/credits/batch',
    request: ({ userId, holds }, which) =>
      post('batch', {
        atomic: true,
        commands: [
          { type: 'use', userId, amount: AMOUNTS[which], description: 'said' },
          { type: 'commit', reservationId: holds[appOf(which)][2], amount: 1 },
          { type: 'reserve', userId, amount: AMOUNTS[which] },
        ],
      }),
    events: 3,
  },
  'price of an operation': {
    registered: 'PUT /catalogue/operations/{app}/{operation}',
    request: ({ userId }, which) => put(`operations/${userId}/paint`, { cost: AMOUNTS[which], free: { uses: 3, period: 'day' } }),
    events: 1,
  },
  'operation retired': {
    registered: 'DELETE /catalogue/operations/{app}/{operation}',
    request: ({ userId }, which) => ({ method: 'DELETE', path: `${API}/catalogue/operations/${userId}/${which}` }),
    events: 1,
    async before(service, { userId }) {
      for (const which of ['one', 'other', 'two']) {
        await sent(service.app(), put(`operations/${userId}/${which}`, { cost: 1 }), `define-${userId}-${which}`);
      }
    },
  },
  package: {
    registered: 'PUT /catalogue/packages/{id}',
    request: ({ userId }, which) => put(`packages/${userId}`, { name: which, credits: 100, priceEuroCents: 499 }),
    events: 1,
  },
  'package retired': {
    registered: 'DELETE /catalogue/packages/{id}',
    request: ({ userId }, which) => ({ method: 'DELETE', path: `${API}/catalogue/packages/${userId}-${which}` }),
    events: 1,
    async before(service, { userId }) {
      for (const which of ['one', 'other', 'two']) {
        const body = { name: which, credits: 100, priceEuroCents: 499 };
        await sent(service.app(), put(`packages/${userId}-${which}`, body), `define-${userId}-${which}`);
      }
    },
  },
  'mode of an app': {
    registered: 'PUT /catalogue/apps/{app}/mode',
    request: ({ userId }, which) => put(`apps/${userId}/mode`, { mode: which === 'one' ? 'observe' : 'enforce' }),
    events: 1,
  },
};

/** Routes that change nothing, or whose repeat says by itself that nothing was left to do. */
export const WITHOUT_KEY: readonly string[] = ['POST /internal/credits/validate', 'POST /internal/privacy/erase'];

/** Sends a request under a key; its answer, whatever it is. */
export function sent(client: ApiClient, { method, path, body }: Request, key: string): Promise<Answer> {
  const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
  return client.send(method, path, body === undefined ? undefined : JSON.stringify(body), { ...type, 'idempotency-key': key });
}

/** Sends one of a route's requests as whoever makes it. */
export async function ask(service: Service, route: Route, world: World, which: Which, key: string): Promise<Answer> {
  const isUser = route.byUser === true && which !== 'two';
  const client = isUser ? await service.user(world.userId) : service.app(appOf(which));
  return sent(client, route.request(world, which), key);
}

/** Makes an account of which both apps have used and held something. */
export async function makeWorld(service: Service, userId: string): Promise<World> {
  await giveCredits(service.app(), userId, 1_000);
  const [holds, used]: [Record<string, readonly string[]>, Record<string, string>] = [{}, {}];
  for (const name of ['one', 'two'] as const) {
    const app = service.app(name);
    holds[name] = [await holdCredits(app, userId, 10), await holdCredits(app, userId, 10), await holdCredits(app, userId, 10)];
    const use = granted(await app.post(`${SERVICES}/use`, { userId, amount: 5 }));
    used[name] = textOf({ ...use, body: (use.body as { transaction: unknown }).transaction }, 'id');
  }
  return { userId, holds: holds as World['holds'], used: used as World['used'] };
}

/** A user who has no account. */
export function nobody(userId: string): World {
  return { userId, holds: { one: ['', '', ''], two: ['', '', ''] }, used: { one: '', two: '' } };
}
