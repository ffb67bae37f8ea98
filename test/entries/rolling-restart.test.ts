import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { giveCredits, granted } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { lockWaits } from '../support/lock-waits.ts';
import { type Api, SERVICE_KEY, startApi, startWorker } from './api-processes.ts';
import { type Child, killAll } from './children.ts';
import { type Clients, startClients, type Tried, useOnce } from './rolling-clients.ts';

/*
 * Two API processes are restarted one after the other under load. No request fails, but with what succeeds when it is
 * sent again; and where somebody looks at /ready, and sends nothing to a process that stops, none fails at all.
 */

const USERS = ['rolling-a', 'rolling-b', 'rolling-c', 'rolling-d'];
const CREDITS = 10_000;
const AMOUNT = 0.01;
const PATIENCE = { timeout: 60_000, interval: 5 };

let database: TestDatabase;
let worker: Child;

beforeAll(async () => {
  database = await createTestDatabase();
  worker = await startWorker(database.url);
}, 90_000);

afterAll(async () => {
  worker?.kill('SIGTERM');
  const end = await worker?.ended();
  killAll();
  await database?.close();
  expect(end).toEqual({ code: 0, signal: null });
}, 90_000);

/** When a process was told to stop, and when the next one listened in its place, in ms. */
type Away = { readonly url: string; readonly from: number; to: number };

/** Restarts an API at its place; it must end well. `meanwhile` is done when it was told to stop. */
async function restart(
  api: Api,
  env: Readonly<Record<string, string>>,
  away: Away[],
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<Api> {
  const gone: Away = { url: api.url, from: performance.now(), to: Number.POSITIVE_INFINITY };
  away.push(gone);
  api.child.kill('SIGTERM');
  await meanwhile();
  expect(await api.child.ended()).toEqual({ code: 0, signal: null });
  const next = await startApi(database.url, { ...env, PORT: new URL(api.url).port });
  gone.to = performance.now();
  return next;
}

async function moreDone(clients: Clients, more: number): Promise<void> {
  const wanted = clients.total() + more;
  await vi.waitUntil(() => clients.total() >= wanted, PATIENCE);
}

const isWhileAway = (away: readonly Away[], { url, from, to }: Tried) =>
  away.some((one) => one.url === url && to >= one.from && from <= one.to);

/** What every user has left is what they had, less what was answered; and the log holds as many uses. */
async function checkSums(apis: readonly Api[], before: ReadonlyMap<string, number>, clients: Clients): Promise<void> {
  for (const userId of USERS) {
    const left = (before.get(userId) ?? 0) - (clients.done.get(userId) ?? 0);
    for (const { service } of apis) {
      const { body } = granted(await service.post('/api/v1/internal/credits/validate', { userId, amount: 1 }));
      // In hundredths of a credit, since that is what each use takes.
      expect(Math.round((body as { availableCredits: number }).availableCredits / AMOUNT)).toBe(left);
    }
  }
  const keys = [...new Set(clients.tried.map(({ key }) => key))];
  const { rows } = await database.superuser.query<{ uses: string }>(
    `select count(*) as uses from ledger.events where type = 'CreditsConsumed' and metadata::json ->> 'idempotencyKey' = any ($1)`,
    [keys],
  );
  expect(Number(rows[0]?.uses)).toBe(clients.total());
  expect(keys).toHaveLength(clients.total());
}

/** Gives every user credits; returns how many uses they are good for. */
async function fund({ service }: Api): Promise<ReadonlyMap<string, number>> {
  const uses = new Map<string, number>();
  for (const userId of USERS) {
    const { body } = await giveCredits(service, userId, CREDITS, { referenceId: `${userId}-${performance.now()}` });
    uses.set(userId, Math.round((body as { newBalance: number }).newBalance / AMOUNT));
  }
  return uses;
}

async function stop(apis: readonly Api[]): Promise<void> {
  for (const { child } of apis) child.kill('SIGTERM');
  for (const { child } of apis) expect(await child.ended()).toEqual({ code: 0, signal: null });
}

it('every request ends well, some of them the second time', { timeout: 240_000 }, async () => {
  const apis = [await startApi(database.url), await startApi(database.url)];
  const before = await fund(apis[0] as Api);
  const away: Away[] = [];
  const clients = startClients({ count: 8, users: USERS, amount: AMOUNT, targets: () => apis.map(({ url }) => url) });
  try {
    await moreDone(clients, 50);
    for (let round = 0; round < 3; round += 1) {
      for (const [index, api] of apis.entries()) {
        apis[index] = await restart(api, {}, away);
        await moreDone(clients, 100);
      }
    }
  } finally {
    await clients.stop();
  }
  const failed = clients.tried.filter(({ result }) => result !== 200);
  expect(failed.length).toBeGreaterThan(0);
  // None at all but at a process that was stopping, or not there yet.
  expect(failed.filter((one) => !isWhileAway(away, one))).toEqual([]);
  await checkSums(apis, before, clients);
  await stop(apis);
});

/** Says which processes are ready, as a proxy would find out. */
function watchReady(apis: readonly Api[]): { readonly ready: () => readonly string[]; stop(): Promise<void> } {
  const ready = new Set(apis.map(({ url }) => url));
  let stopped = false;
  const watch = async ({ url }: Api): Promise<void> => {
    while (!stopped) {
      const signal = AbortSignal.timeout(1_000);
      const status = await fetch(`${url}/ready`, { signal }).then(
        (answer) => answer.status,
        () => 0,
      );
      if (status === 200) ready.add(url);
      else ready.delete(url);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const watching = Promise.all(apis.map(watch));
  return {
    ready: () => [...ready],
    async stop() {
      stopped = true;
      await watching;
    },
  };
}

it('none fails at all behind somebody who looks at /ready', { timeout: 240_000 }, async () => {
  const env = { SHUTDOWN_DRAIN: '3' };
  const apis = [await startApi(database.url, env), await startApi(database.url, env)];
  const before = await fund(apis[0] as Api);
  const away: Away[] = [];
  const proxy = watchReady(apis);
  const clients = startClients({ count: 8, users: USERS, amount: AMOUNT, targets: proxy.ready });
  try {
    await moreDone(clients, 50);
    for (const [index, api] of apis.entries()) {
      apis[index] = await restart(api, env, away);
      await vi.waitUntil(() => proxy.ready().length === 2, PATIENCE);
      await moreDone(clients, 100);
    }
  } finally {
    await clients.stop();
    await proxy.stop();
  }
  expect(clients.tried.filter(({ result }) => result !== 200)).toEqual([]);
  await checkSums(apis, before, clients);
  await stop(apis);
});

it('who drains is not ready, answers all the same, and ends each connection it answers on', { timeout: 120_000 }, async () => {
  const drain = 4;
  const api = await startApi(database.url, { SHUTDOWN_DRAIN: String(drain) });
  await fund(api);
  const toldAt = performance.now();
  api.child.kill('SIGTERM');
  const notReady = async () => (await api.service.get('/ready')).status === 503;
  await vi.waitUntil(notReady, PATIENCE);
  const ready = await api.service.get('/ready');
  expect(ready.body).toMatchObject({ status: 'stopping', store: true, database: true, queue: true });
  expect(ready.headers.get('connection')).toBe('close');
  expect((await api.service.get('/health')).status).toBe(200);
  const used = await useOnce(api.url, { userId: USERS[0], amount: AMOUNT }, 'while-it-drains', false);
  expect(used).toMatchObject({ result: 200, closes: true });
  // Nobody is turned away before the time is over.
  let refusedAt = 0;
  await vi.waitUntil(async () => {
    const { result } = await useOnce(api.url, { userId: USERS[0], amount: AMOUNT }, 'while-it-drains', false);
    if (result !== 200) refusedAt = performance.now();
    return refusedAt > 0;
  }, PATIENCE);
  expect(refusedAt - toldAt).toBeGreaterThan(drain * 1_000 - 100);
  expect(await api.child.ended()).toEqual({ code: 0, signal: null });
});

/** A connection, and what came over it. */
async function open(
  url: string,
): Promise<{ readonly socket: Socket; readonly heard: () => string; readonly closed: () => boolean }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let heard = '';
  socket.on('data', (data) => (heard += data.toString()));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return { socket, heard: () => heard, closed: () => socket.closed };
}

it('what arrives once it closes is refused with 503, and connections without work do not keep it', {
  timeout: 120_000,
}, async () => {
  const api = await startApi(database.url);
  await fund(api);
  // One that says nothing, one in the middle of its words, and one whose answer waits for the database.
  const [silent, halting, working] = [await open(api.url), await open(api.url), await open(api.url)];
  halting.socket.write('GET /health HTTP/1.1\r\n');
  await database.superuser.query('begin; lock table ledger.streams in exclusive mode');
  const body = JSON.stringify({ userId: USERS[0], amount: AMOUNT });
  working.socket.write(
    `POST /api/v1/internal/credits/use HTTP/1.1\r\nHost: a\r\nX-Service-Key: ${SERVICE_KEY}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await vi.waitUntil(async () => (await lockWaits(database.superuser, '%ledger.append%')) > 0, PATIENCE);
  api.child.kill('SIGTERM');
  const isRefused = async () => (await useOnce(api.url, {}, 'too-late', false)).result === 'ECONNREFUSED';
  await vi.waitUntil(isRefused, PATIENCE);
  halting.socket.write('Host: a\r\n\r\n');
  await vi.waitUntil(() => halting.closed(), PATIENCE);
  expect(halting.heard()).toMatch(/^HTTP\/1\.1 503 [^]*\r\nconnection: close\r\n/i);
  expect(halting.heard()).toMatch(/\r\nretry-after: 1\r\n/i);
  const refusal = JSON.parse(halting.heard().split('\r\n\r\n')[1] ?? '') as unknown;
  expect(refusal).toMatchObject({ statusCode: 503, error: 'overloaded', requestId: expect.any(String) });
  await vi.waitUntil(() => silent.closed(), PATIENCE);
  expect(working.heard()).toBe('');
  await database.superuser.query('commit');
  await vi.waitUntil(() => working.closed(), PATIENCE);
  expect(working.heard()).toMatch(/^HTTP\/1\.1 200 /);
  expect(await api.child.ended()).toEqual({ code: 0, signal: null });
});
