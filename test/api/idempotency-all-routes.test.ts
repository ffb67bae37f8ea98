import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Answer, giveCredits, granted } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { countFrom } from '../support/log-of.ts';
import { useManyTimes } from '../support/long-account.ts';
import { type Service, startService } from '../support/service.ts';
import { ask, makeWorld, nobody, ROUTES, type Route, sent, WITHOUT_KEY, type World } from './mutating-routes.ts';

/* Idempotency keys on every route that changes something. What a key is, and how it is given: idempotency.test.ts. */

const AT_ONCE = 10;
const OTHERS = 100_000;
const METHODS = ['post', 'put', 'patch', 'delete'];

let database: TestDatabase;
let service: Service;
let another: Service;
let countEvents: () => Promise<number>;
let worlds = 0;

const start = () => startService({ databaseUrl: database.url, env: { SIGNUP_GRANT: '5' } });

beforeAll(async () => {
  database = await createTestDatabase();
  [service, another] = await Promise.all([start(), start()]);
  // Through the one that is never started anew.
  countEvents = await countFrom(another.context.store);
});

afterAll(async () => {
  await service?.close();
  await another?.close();
  await database?.close();
});

it('are all here: every registered route that changes something has a row', async () => {
  const { paths } = (await service.anonymous.get('/docs/json')).body as { paths: Record<string, Record<string, unknown>> };
  const registered = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => METHODS.includes(method))
      .map((method) => `${method.toUpperCase()} ${path.replace(/^\/api\/v1/, '')}`),
  );
  const known = [...Object.values(ROUTES).map((route) => route.registered), ...WITHOUT_KEY];
  expect([...new Set(known)].toSorted()).toEqual(registered.toSorted());
});

describe.each(Object.entries(ROUTES))('the same key again: %s', (_, route) => {
  let world: World;
  /** All changes of the catalogue are about one stream: each test has a key of its own. */
  let key: string;

  beforeEach(async () => {
    world = await prepared(route);
    key = `key of ${world.userId}`;
  });

  it('with the same body gives the original status and outcome, and changes nothing', async () => {
    const first = granted(await ask(service, route, world, 'one', key));
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    const before = await countEvents();
    expectReplay(await ask(service, route, world, 'one', key), first);
    expectReplay(await ask(another, route, world, 'one', key), first);
    expect(await countEvents()).toBe(before);
  });

  it('with another body is a conflict, and changes nothing', async () => {
    granted(await ask(service, route, world, 'one', key));
    const before = await countEvents();
    for (const process of [service, another]) {
      const { status, body } = await ask(process, route, world, 'other', key);
      expect(body).toMatchObject({ error: 'idempotency_conflict' });
      expect(status).toBe(409);
    }
    expect(await countEvents()).toBe(before);
  });

  it('from another app is another key', async () => {
    const first = granted(await ask(service, route, world, 'one', key));
    const theirs = granted(await ask(service, route, world, 'two', key));
    expect(theirs.headers.get('idempotency-replayed')).toBeNull();
    expectReplay(await ask(service, route, world, 'one', key), first);
    // A second `init` wrote nothing, which is not remembered; all others did.
    if (route.onNobody !== true) expectReplay(await ask(service, route, world, 'two', key), theirs);
  });

  it('ten times at once, in two processes, has one effect and one outcome', async () => {
    const before = await countEvents();
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, (__, turn) => ask(turn % 2 === 0 ? service : another, route, world, 'one', key)),
    );
    const firsts = answers.filter((answer) => granted(answer).headers.get('idempotency-replayed') === null);
    expect(firsts).toHaveLength(1);
    for (const { body } of answers) expect(body).toEqual(firsts[0]?.body);
    expect(await countEvents()).toBe(before + route.events);
  });
});

it('a batch whose commands have keys of their own answers each of them as before', async () => {
  const world = await makeWorld(service, nextUser());
  const { userId, holds, used } = world;
  const commands = [
    { type: 'use', userId, amount: 1, idempotencyKey: 'b1' },
    { type: 'reserve', userId, amount: 2, idempotencyKey: 'b2' },
    { type: 'commit', reservationId: holds.one[0], amount: 3, idempotencyKey: 'b3' },
    { type: 'release', reservationId: holds.one[1], idempotencyKey: 'b4' },
    { type: 'refund', userId, amount: 4, transactionId: used.one, description: 'said', idempotencyKey: 'b5' },
    { type: 'grant', userId, amount: 6, reason: 'batch', referenceId: userId, idempotencyKey: 'b6' },
  ];
  const batch = async (process: Service, body: object) =>
    (granted(await process.app('one').post('/api/v1/internal/credits/batch', body)).body as { results: readonly object[] })
      .results;
  const first = await batch(service, { commands });
  const before = await countEvents();
  const again = first.map((one) => ({ ...one, idempotencyReplayed: true }));
  expect(await batch(service, { commands })).toEqual(again);
  expect(await batch(another, { commands: commands.toReversed() })).toEqual(again.toReversed());
  const changed = commands.map((command) => ({ ...command, appId: 'changed' }));
  for (const result of await batch(service, { commands: changed })) expect(result).toMatchObject({ status: 409 });
  expect(await countEvents()).toBe(before);
});

describe('much later', () => {
  it('after a restart every route gives the first outcome', async () => {
    const asked: { readonly route: Route; readonly world: World; readonly first: Answer }[] = [];
    for (const route of Object.values(ROUTES)) {
      const world = await prepared(route);
      asked.push({ route, world, first: granted(await ask(service, route, world, 'one', world.userId)) });
    }
    await service.close();
    service = await start();
    for (const { route, world, first } of asked) {
      expectReplay(await ask(service, route, world, 'one', world.userId), first);
      expect((await ask(service, route, world, 'other', world.userId)).status).toBe(409);
    }
  });

  it('after 100,000 other commands on the account every route gives the first outcome', async () => {
    const userId = nextUser();
    const ofAccounts = Object.entries(ROUTES).filter(([, { registered }]) => !registered.includes('catalogue'));
    const opened = granted(await ask(service, ROUTES['init'] as Route, nobody(userId), 'one', 'init'));
    const world = await makeWorld(service, userId);
    const lot = revisionIn(await giveCredits(service.app(), userId, 1));
    const firsts = new Map<string, Answer>([['init', opened]]);
    for (const [name, route] of ofAccounts) {
      if (name !== 'init') firsts.set(name, granted(await ask(service, route, world, 'one', name)));
    }
    const before = await countEvents();
    await useManyTimes(service.context.store, { user: userId, lot, count: OTHERS });
    expect(await countEvents()).toBe(before + OTHERS);
    // What a process knows of the account is far behind now.
    await service.close();
    service = await start();
    for (const [name, route] of ofAccounts) {
      const first = firsts.get(name);
      if (first === undefined) throw new Error(`${name} was not asked`);
      expectReplay(await ask(service, route, world, 'one', name), first);
      expect((await ask(service, route, world, 'other', name)).status).toBe(409);
    }
    expect(await countEvents()).toBe(before + OTHERS);
    // And a new key has its effect on where the account is now.
    const fresh = { method: 'POST', path: '/api/v1/internal/credits/use', body: { userId, amount: 1 } } as const;
    expect((await sent(service.app('one'), fresh, 'new')).headers.get('idempotency-replayed')).toBeNull();
    expect(await countEvents()).toBe(before + OTHERS + 1);
  }, 120_000);
});

function nextUser(): string {
  worlds += 1;
  return `route-${worlds}`;
}

async function prepared(route: Route): Promise<World> {
  const userId = nextUser();
  const world = route.onNobody === true ? nobody(userId) : await makeWorld(service, userId);
  await route.before?.(service, world);
  return world;
}

function expectReplay(again: Answer, first: Answer): void {
  expect(again.body).toEqual(first.body);
  expect(again.status).toBe(first.status);
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(again.headers.get('x-ledger-revision')).toBe(first.headers.get('x-ledger-revision'));
}

function revisionIn({ body }: Answer): number {
  return Number((body as { transactionId: string }).transactionId.split('_')[1]);
}
