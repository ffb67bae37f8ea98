import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Answer, type ApiClient, type HeadersSent, readOwn, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { dataOf, eventsOf, lengthOf } from '../support/log-of.ts';
import { type Service, startService } from '../support/service.ts';
import { CATALOGUE, getFrom, putTo, removeFrom } from './catalogue-calls.ts';

/* The catalogue over HTTP: who keeps it, and what everybody may see of it. */

const SHOP = '/api/v1/credits/packages';

let database: TestDatabase;
let service: Service;
let keeper: ApiClient;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url, workers: true });
  keeper = service.app('shop');
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

const put = (path: string, body: unknown, headers: HeadersSent = {}) => putTo(keeper, path, body, headers);
const remove = (path: string, headers: HeadersSent = {}) => removeFrom(keeper, path, headers);
const get = (path: string) => getFrom(keeper, path);
const countEvents = () => lengthOf(service.context.store, 'catalogue');

describe('operations', () => {
  it('are priced, read, listed and retired', async () => {
    const price = { cost: 0.2, per: 10, unit: 'items', free: { uses: 3, period: 'month' } };
    const answer = await put('/operations/general/bulk_import', price);
    const whole = { app: 'general', operation: 'bulk_import', ...price };
    expect(answer).toMatchObject({ status: 200, body: whole });
    expect((await get('/operations/general/bulk_import')).body).toEqual(answer.body);
    await put('/operations/chat/gpt4', { cost: 5 });
    const listed = (await get('/operations')).body;
    expect(listed).toEqual([
      expect.objectContaining({ app: 'chat', operation: 'gpt4', cost: 5, per: 1, unit: null, free: null }),
      answer.body,
    ]);

    expect(await remove('/operations/chat/gpt4')).toMatchObject({
      status: 200,
      body: { success: true, app: 'chat', operation: 'gpt4' },
    });
    expect(await get('/operations/chat/gpt4')).toMatchObject({ status: 404, body: { error: 'operation_not_found' } });
    expect(await remove('/operations/chat/gpt4')).toMatchObject({ status: 404, body: { error: 'operation_not_found' } });
    expect((await get('/operations')).body).toEqual([answer.body]);
  });

  it('are in the log with who changed what', async () => {
    await putTo(await service.user('somebody', 'admin'), '/operations/who/what', { cost: 1 });
    await put('/operations/who/what', { cost: 2 });
    const events = await eventsOf(service.context.store, 'catalogue');
    const priced = events.filter((event) => event.type === 'OperationPriced' && dataOf(event)['app'] === 'who');
    const actorOf = (text: string) => (JSON.parse(text) as { readonly actor: unknown }).actor;
    expect(priced.map((event) => [dataOf(event), actorOf(event.metadata)])).toEqual([
      [expect.objectContaining({ cost: 1_000_000 }), { kind: 'user', user: 'somebody' }],
      [expect.objectContaining({ cost: 2_000_000 }), expect.objectContaining({ kind: 'service', app: 'shop' })],
    ]);
  });

  it('are not written again where nothing changes', async () => {
    const first = await put('/operations/same/one', { cost: 3, free: { uses: 1, period: 'day' } });
    const before = await countEvents();
    const second = await put('/operations/same/one', { free: { period: 'day', uses: 1 }, cost: 3, per: 1, unit: null });
    expect(second).toMatchObject({ status: 200, body: first.body });
    expect(await countEvents()).toBe(before);
  });

  it.each([
    ['a fraction of a micro-credit', { cost: 0.0000001 }, 'cost'],
    ['more than anybody may name', { cost: 1_000_000_001 }, 'cost'],
    ['less than nothing', { cost: -1 }, 'cost'],
    ['no cost', {}, 'cost'],
    ['nothing for no units', { cost: 1, per: 0 }, 'per'],
    ['half a unit', { cost: 1, per: 1.5 }, 'per'],
    ['no free uses in a year', { cost: 1, free: { uses: 1, period: 'year' } }, 'free.period'],
    ['half a free use', { cost: 1, free: { uses: 0.5, period: 'day' } }, 'free.uses'],
  ])('cost no such thing as %s', async (_, body, path) => {
    const answer = await put('/operations/wrong/one', body);
    expect(answer).toMatchObject({ status: 400, body: { error: 'validation_failed', details: [{ path }] } });
  });

  it('belong to apps that can call', async () => {
    expect(await put('/operations/two%20words/one', { cost: 1 })).toMatchObject({
      status: 400,
      body: { details: [{ path: 'app' }] },
    });
    expect(await put(`/operations/app/${'x'.repeat(65)}`, { cost: 1 })).toMatchObject({ status: 400 });
    expect(await put('/operations/app/odd%20%2F%20name', { cost: 1 })).toMatchObject({ body: { operation: 'odd / name' } });
  });
});

describe('packages', () => {
  const small = {
    name: 'Small',
    description: 'For a week',
    credits: 500,
    priceEuroCents: 499,
    stripePriceId: 'price_1',
    sortOrder: 20,
  };

  it('are defined, read and listed', async () => {
    const answer = await put('/packages/small', { ...small, metadata: { badge: 'new', tags: ['a'] } });
    const whole = { id: 'small', ...small, active: true, metadata: { badge: 'new', tags: ['a'] } };
    expect(answer).toMatchObject({ status: 200, body: whole });
    const { id: _, ...asRead } = whole;
    expect(await put('/packages/small', asRead)).toMatchObject({ status: 200, body: whole });
    expect((await get('/packages/small')).body).toEqual(whole);
    await put('/packages/first', { name: 'First', credits: 0.5, priceEuroCents: 1, sortOrder: 10 });
    const first = { id: 'first', name: 'First', description: null, credits: 0.5, priceEuroCents: 1, stripePriceId: null };
    expect((await get('/packages')).body).toEqual([{ ...first, active: true, sortOrder: 10, metadata: {} }, whole]);
  });

  it('are shown to everybody by their order, as long as they are sold', async () => {
    const last = await put('/packages/also', { ...small, name: 'Also' });
    const shown = await readOwn(service.anonymous, SHOP, { 'x-min-revision': tokenOf(last) });
    expect(shown.status).toBe(200);
    const listed = (await get('/packages')).body;
    expect(shown.body).toEqual(listed);
    expect((shown.body as { id: string }[]).map(({ id }) => id)).toEqual(['first', 'also', 'small']);

    const retired = await remove('/packages/small');
    expect(retired).toMatchObject({ status: 200, body: { success: true, id: 'small' } });
    const left = await readOwn(service.anonymous, SHOP, { 'x-min-revision': tokenOf(retired) });
    expect((left.body as { id: string }[]).map(({ id }) => id)).toEqual(['first', 'also']);
    // Whoever keeps the catalogue sees it still.
    expect((await get('/packages/small')).body).toMatchObject({ id: 'small', active: false });
    expect(await remove('/packages/small')).toMatchObject({ status: 200 });
    const again = await put('/packages/small', small);
    expect(again).toMatchObject({ status: 200, body: { active: true } });
    const back = await readOwn(service.anonymous, SHOP, { 'x-min-revision': tokenOf(again) });
    expect((back.body as unknown[]).at(-1)).toEqual({ id: 'small', ...small, active: true, metadata: {} });
  });

  it('that never were are not found', async () => {
    expect(await remove('/packages/nothing')).toMatchObject({ status: 404, body: { error: 'package_not_found' } });
    expect(await get('/packages/nothing')).toMatchObject({ status: 404, body: { error: 'package_not_found' } });
  });

  it.each([
    ['credits', { credits: 0 }],
    ['priceEuroCents', { priceEuroCents: 4.99 }],
    ['name', { name: '' }],
    ['sortOrder', { sortOrder: 'first' }],
    ['metadata', { metadata: [] }],
    // Retired by DELETE: put back as it was read, it would be for sale.
    ['active', { active: false }],
  ])('need sound %s', async (path, what) => {
    expect(await put('/packages/wrong', { ...small, ...what })).toMatchObject({ status: 400, body: { details: [{ path }] } });
  });
});

describe('modes', () => {
  it('are set and read', async () => {
    expect((await get('/apps/picture/mode')).body).toEqual({ app: 'picture', mode: 'enforce' });
    expect(await put('/apps/picture/mode', { mode: 'observe' })).toMatchObject({
      status: 200,
      body: { app: 'picture', mode: 'observe' },
    });
    expect((await get('/apps/picture/mode')).body).toEqual({ app: 'picture', mode: 'observe' });
    expect((await get('/apps/chat/mode')).body).toEqual({ app: 'chat', mode: 'enforce' });
    expect(await put('/apps/picture/mode', { mode: 'off' })).toMatchObject({ status: 400 });
  });
});

describe('idempotency keys', () => {
  it('give the first outcome again, whatever came in between', async () => {
    const headers = { 'idempotency-key': 'price once' };
    const first = await put('/operations/keyed/one', { cost: 1 }, headers);
    await put('/operations/keyed/one', { cost: 2 });
    const again = await put('/operations/keyed/one', { cost: 1 }, headers);
    expect(again).toMatchObject({ status: 200, body: first.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(tokenOf(again)).toBe(tokenOf(first));
    expect((await get('/operations/keyed/one')).body).toMatchObject({ cost: 2 });
  });

  it('of another body, another place or another thing are a conflict', async () => {
    const headers = { 'idempotency-key': 'price one thing' };
    await put('/operations/keyed/two', { cost: 1 }, headers);
    for (const other of [
      put('/operations/keyed/two', { cost: 2 }, headers),
      put('/operations/keyed/three', { cost: 1 }, headers),
      remove('/operations/keyed/two', headers),
    ]) {
      expect(await other).toMatchObject({ status: 409, body: { error: 'idempotency_conflict' } });
    }
    // Another caller's key is another key.
    expect(await putTo(service.app('other'), '/operations/keyed/three', { cost: 1 }, headers)).toMatchObject({
      status: 200,
    });
  });

  it('stand in the body as well, and one is made where there is none', async () => {
    const first = await put('/apps/keyed/mode', { mode: 'observe', idempotencyKey: 'mode once' });
    expect(first.headers.get('idempotency-key')).toBe('mode once');
    const again = await put('/apps/keyed/mode', { mode: 'observe', idempotencyKey: 'mode once' });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const retired = await remove('/operations/keyed/one', { 'idempotency-key': 'gone once' });
    const repeated = await remove('/operations/keyed/one', { 'idempotency-key': 'gone once' });
    expect(repeated).toMatchObject({ status: 200, body: retired.body });
    expect((await put('/apps/keyed/mode', { mode: 'enforce' })).headers.get('idempotency-key')).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('what was written elsewhere', () => {
  let other: Service;

  beforeAll(async () => {
    other = await startService({ databaseUrl: database.url });
  });
  afterAll(() => other?.close());

  it('is seen by whoever names it', async () => {
    for (const cost of [1, 2, 3, 4, 5]) {
      const written = await putTo(other.app('shop'), '/operations/far/one', { cost });
      const seen = await keeper.get(`${CATALOGUE}/operations/far/one`, { 'x-min-revision': tokenOf(written) });
      expect(seen).toMatchObject({ status: 200, body: { cost } });
    }
  });

  it('is seen by everybody soon', async () => {
    await putTo(other.app('shop'), '/apps/far/mode', { mode: 'observe' });
    const mode = async () => ((await get('/apps/far/mode')).body as { mode?: string }).mode;
    await vi.waitUntil(async () => (await mode()) === 'observe', { timeout: 10_000, interval: 20 });
  });

  it('and is not yet written is no answer', async () => {
    const answer = await keeper.get(`${CATALOGUE}/operations?minRevision=100000`);
    expect(answer).toMatchObject({ status: 409, body: { error: 'not_yet_visible' } });
  });

  it('leads two who change the same at once to one order', async () => {
    const clients = [keeper, other.app('shop')];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => putTo(clients[n % 2] as ApiClient, '/operations/hot/one', { cost: n + 1 })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const revisions = answers.map(({ body }) => (body as { revision: number }).revision);
    expect(new Set(revisions).size).toBe(20);
    const last = answers.find(({ body }) => (body as { revision: number }).revision === Math.max(...revisions));
    const seen = await keeper.get(`${CATALOGUE}/operations/hot/one`, { 'x-min-revision': tokenOf(last as Answer) });
    expect(seen.body).toEqual(last?.body);
  });
});
