import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, giveCredits, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';
const JSON_TYPE = { 'content-type': 'application/json' };

let database: TestDatabase;
let service: Service;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url });
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

const post = (route: string, body: unknown) => service.app().post(`${SERVICES}/${route}`, body);
const sendText = (route: string, text: string) => service.app().send('POST', `${SERVICES}/${route}`, text, JSON_TYPE);

/** The error in the shape that every error has. */
function expectError({ status, headers, body }: Answer, statusCode: number, error: string, more: object = {}): void {
  expect(body).toEqual({ statusCode, error, message: expect.any(String), requestId: headers.get('x-correlation-id'), ...more });
  expect(status).toBe(statusCode);
  expect(headers.get('content-type')).toMatch(/^application\/json/);
}

function expectFaults(answer: Answer, paths: readonly string[]): void {
  expectError(answer, 400, 'validation_failed', { details: expect.any(Array) });
  const { details, message } = answer.body as { details: { path: string; message: string }[]; message: string };
  expect(details.map(({ path }) => path).toSorted()).toEqual([...paths].toSorted());
  for (const fault of details) expect(message).toContain(`${fault.path}: ${fault.message}`);
}

describe('400 validation_failed', () => {
  it('refuses a number that no double can be, known or not', async () => {
    const texts = { 'metadata.x': '"metadata":{"x":1e400}', 'unknown.1': '"unknown":[1,-1e400]' };
    for (const [path, text] of Object.entries(texts)) {
      const body = `{"userId":"u","amount":1,${text}}`;
      const answer = await service
        .app()
        .send('POST', '/api/v1/internal/credits/use', body, { 'content-type': 'application/json' });
      expect(answer).toMatchObject({ status: 400, body: { error: 'validation_failed', details: [{ path }] } });
    }
  });

  it('names every fault of a body', async () => {
    expectFaults(await post('reserve', { userId: '', amount: -1, reason: 7, appId: '', ttlSeconds: 0.5, metadata: [] }), [
      'userId',
      'amount',
      'reason',
      'appId',
      'ttlSeconds',
      'metadata',
    ]);
    expectFaults(await post('grant', {}), ['userId', 'amount', 'reason', 'referenceId']);
    expectFaults(await post('commit', { reservationId: 5, amount: 'all', onExpired: 'maybe' }), [
      'reservationId',
      'amount',
      'onExpired',
    ]);
    expectFaults(await post('use', { creditSource: { type: 'guild' } }), ['userId', 'amount', 'creditSource.type']);
  });

  it.each([
    ['null', null],
    ['a list', []],
    ['a text', 'text'],
    ['a number', 5],
    ['true', true],
  ])('refuses %s for a body', async (_, body) => {
    for (const route of ['init', 'validate', 'use', 'reserve', 'commit', 'refund-reservation', 'grant']) {
      expectFaults(await post(route, body), ['body']);
    }
  });

  it.each([
    '0',
    '-0',
    '-1',
    '-0.000001',
    '0.0000001',
    '1.1234567',
    '1e-7',
    '1e21',
    '1e400',
    '1000000000.000001',
    '9007199254740993',
    '"1"',
    '"NaN"',
    'null',
    '[1]',
    'true',
    '{}',
  ])('refuses %s for an amount', async (amount) => {
    for (const route of ['validate', 'use', 'reserve']) {
      expectFaults(await sendText(route, `{"userId":"u","amount":${amount}}`), ['amount']);
    }
    expectFaults(await sendText('grant', `{"userId":"u","reason":"r","referenceId":"r","amount":${amount}}`), ['amount']);
  });

  it.each(['NaN', 'Infinity', '.5', '0x10', '1,5', '01'])('takes %s for no JSON at all', async (amount) => {
    expectError(await sendText('use', `{"userId":"u","amount":${amount}}`), 400, 'malformed_json');
  });

  it('takes every amount with six decimals to the last', async () => {
    await giveCredits(service.app(), 'decimals', 1);
    for (const amount of ['0.000001', '1e-6', '0.1', '0.3000000', '0.02']) {
      const { status, body } = await sendText('use', `{"userId":"decimals","amount":${amount}}`);
      expect(status).toBe(200);
      expect(body).toMatchObject({ creditsUsed: Number(amount) });
    }
  });

  it.each([
    ['U+0000', '\0'],
    ['half a surrogate pair', '\ud800'],
    ['the other half', '\udc00'],
    ['halves the wrong way round', '\udc00\ud800'],
  ])('refuses %s wherever a text stands', async (_, wrong) => {
    const text = `a${wrong}b`;
    expectFaults(
      await post('grant', { userId: text, amount: 1, reason: text, referenceId: text, description: text, appId: text }),
      ['userId', 'reason', 'referenceId', 'description', 'appId'],
    );
    for (const metadata of [{ note: text }, { [text]: 1 }, { deep: [{ er: [text] }] }]) {
      expectFaults(await post('use', { userId: 'u', amount: 1, description: text, metadata }), ['description', 'metadata']);
    }
    expectFaults(await post('use', { userId: 'u', amount: 1, idempotencyKey: text }), ['idempotencyKey']);
    expectFaults(await post('reserve', { userId: 'u', amount: 1, reason: text, metadata: { text } }), ['reason', 'metadata']);
    expectFaults(await post('commit', { reservationId: text, description: text }), ['reservationId', 'description']);
    expectFaults(await post('refund-reservation', { reservationId: 'rsv_1_account-u', reason: text }), ['reason']);
  });

  it('takes whole surrogate pairs, and every other character', async () => {
    await giveCredits(service.app(), '💰', 1, { description: '\u0001\u200b\ufffd\uffff 💰' });
    expect((await post('use', { userId: '💰', amount: 1, metadata: { '💰': ['💰'] } })).status).toBe(200);
  });

  it('refuses what nests too deep, whatever it is', async () => {
    const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
    await giveCredits(service.app(), 'deep', 10);
    expect((await sendText('use', `{"userId":"deep","amount":1,"metadata":${nested(30)}}`)).status).toBe(200);
    for (const levels of [33, 1_000, 40_000]) {
      expectFaults(await sendText('use', `{"userId":"deep","amount":1,"metadata":${nested(levels)}}`), ['body']);
      expectFaults(await sendText('use', `{"userId":"deep","amount":1,"unknown":${'['.repeat(levels)}${']'.repeat(levels)}}`), [
        'body',
      ]);
    }
  });

  it('refuses texts and notes that are too long', async () => {
    const good = { userId: 'u', amount: 1 };
    expectFaults(await post('use', { ...good, userId: 'u'.repeat(129) }), ['userId']);
    expectFaults(await post('use', { ...good, description: 'd'.repeat(1_001) }), ['description']);
    expectFaults(await post('use', { ...good, metadata: { note: 'n'.repeat(16 * 1024) } }), ['metadata']);
    expectFaults(await post('use', { ...good, idempotencyKey: 'k'.repeat(256) }), ['idempotencyKey']);
    expectFaults(await service.app().post(`${SERVICES}/use`, good, { 'idempotency-key': 'k'.repeat(256) }), ['idempotencyKey']);
    expectFaults(await service.app().get(`${SERVICES}/balance/${'u'.repeat(129)}`), ['userId']);
    expectFaults(await service.app().get(`${SERVICES}/balance/%00`), ['userId']);
  });

  it('refuses a URL that is none', async () => {
    for (const path of [`${SERVICES}/balance/%ff`, `${SERVICES}/balance/%`, `${SERVICES}/reservations/%e0%a4%a`]) {
      const answer = await service.app().get(path);
      expect([400, 404]).toContain(answer.status);
      expect(answer.body).toMatchObject({ statusCode: answer.status, error: expect.any(String), requestId: expect.any(String) });
    }
    const long = await service.app().get(`${SERVICES}/reservations/${'r'.repeat(2_000)}`);
    expect(long.status).toBeGreaterThanOrEqual(400);
    expect(long.status).toBeLessThan(500);
    expect(long.body).toMatchObject({ statusCode: long.status, error: expect.any(String), requestId: expect.any(String) });
  });
});

describe('what can’t be read as a request', () => {
  const sendRaw = async (text: string): Promise<{ head: string; body: unknown }> => {
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    socket.write(text);
    const chunks = await socket.toArray();
    const [head = '', body = ''] = Buffer.concat(chunks as Buffer[])
      .toString()
      .split('\r\n\r\n');
    return { head, body: JSON.parse(body) };
  };

  it.each([
    [431, 'headers_too_large', `GET /health HTTP/1.1\r\nHost: h\r\nX-Min-Revision: ${'r'.repeat(20_000)}\r\n\r\n`],
    [431, 'headers_too_large', `GET /health?minRevision=${'r'.repeat(20_000)} HTTP/1.1\r\nHost: h\r\n\r\n`],
    [400, 'bad_request', 'Tell me of it\r\n\r\n'],
  ])('is a %i, %s, as every error is told', async (statusCode, error, text) => {
    const { head, body } = await sendRaw(text);
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${statusCode} `));
    expect(head).toMatch(/content-type: application\/json/i);
    expect(body).toEqual({ statusCode, error, message: expect.any(String), requestId: expect.any(String) });
  });
});

it('takes a DELETE without a body, whatever type its client names', async () => {
  const paths = ['one', 'two'].map((operation) => `/api/v1/catalogue/operations/bare/${operation}`);
  for (const path of paths) expect((await service.app().send('PUT', path, '{"cost":1}', JSON_TYPE)).status).toBe(200);
  for (const path of paths) {
    expectError(await service.app().send('DELETE', path, '{', JSON_TYPE), 400, 'malformed_json');
    // Without a length, and with one of 0.
    const body = path === paths[0] ? undefined : '';
    expect((await service.app().send('DELETE', path, body, JSON_TYPE)).status).toBe(200);
  }
});

describe('400 malformed_json', () => {
  it.each([
    ['nothing', ''],
    ['half of it', '{"userId":'],
    ['two of it', '{}{}'],
    ['single quotes', "{'userId':'u'}"],
    ['a poisoned prototype', '{"__proto__":{"amount":1}}'],
    ['a poisoned constructor', '{"constructor":{"prototype":{}}}'],
  ])('is the answer to %s', async (_, text) => expectError(await sendText('use', text), 400, 'malformed_json'));

  it('is the answer to bytes that are no UTF-8, or to a text that holds what they decode to', async () => {
    const bytes = Buffer.concat([Buffer.from('{"userId":"'), Buffer.from([0xff, 0xfe]), Buffer.from('","amount":1}')]);
    const { status } = await service.app().send('POST', `${SERVICES}/use`, bytes, JSON_TYPE);
    expect([400, 402]).toContain(status);
  });
});

describe('402 insufficient_credits', () => {
  const refused = (required: number, available: number) => ({
    message: `Insufficient credits. Required: ${required}, Available: ${available}`,
    requiredCredits: required,
    availableCredits: available,
    operation: null,
    details: { requiredCredits: required, availableCredits: available, operation: null, required, available },
  });

  it('says what is needed and what is there, at the top and in the details', async () => {
    await giveCredits(service.app(), 'poor', 5);
    expectError(await post('use', { userId: 'poor', amount: 20 }), 402, 'insufficient_credits', refused(20, 5));
    expectError(await post('reserve', { userId: 'poor', amount: 5.5 }), 402, 'insufficient_credits', refused(5.5, 5));
    const user = await service.user('poor');
    expectError(await user.post('/api/v1/credits/use', { amount: 20 }), 402, 'insufficient_credits', refused(20, 5));
    const reservationId = await holdCredits(service.app(), 'poor', 4);
    expectError(await post('use', { userId: 'poor', amount: 2 }), 402, 'insufficient_credits', refused(2, 1));
    expectError(await post('commit', { reservationId, amount: 6 }), 402, 'insufficient_credits', refused(6, 5));
  });

  it('is the answer to any use by a user whom nobody knows', async () => {
    expectError(await post('use', { userId: 'nobody', amount: 1 }), 402, 'insufficient_credits', refused(1, 0));
    expectError(await post('reserve', { userId: 'nobody', amount: 1 }), 402, 'insufficient_credits', refused(1, 0));
  });

  it('is forgotten: the same key may succeed later', async () => {
    const body = { userId: 'patient', amount: 3, idempotencyKey: 'later' };
    expect((await post('use', body)).status).toBe(402);
    await giveCredits(service.app(), 'patient', 3);
    const { status, headers } = await post('use', body);
    expect(status).toBe(200);
    expect(headers.get('idempotency-replayed')).toBeNull();
  });
});
