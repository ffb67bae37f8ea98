import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { giveCredits, granted, holdCredits, readOwn, tokenOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { eventsOf } from '../support/log-of.ts';
import { type Service, startService } from '../support/service.ts';

const SERVICES = '/api/v1/internal/credits';

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

describe('reading what one has just written', () => {
  it('is seen with the token or the number, by header or query, once workers run', async () => {
    const working = await startService({ databaseUrl: database.url, workers: true });
    try {
      const app = working.app();
      const user = await working.user('seen-user');
      for (let round = 1; round <= 5; round += 1) {
        const token = tokenOf(await giveCredits(app, 'seen-user', 1));
        const seen = [
          await readOwn(app, `${SERVICES}/balance/seen-user`, { 'x-min-revision': token }),
          await readOwn(app, `${SERVICES}/balance/seen-user?minRevision=${token}`),
          await readOwn(app, `${SERVICES}/balance/seen-user`, { 'x-min-revision': String(round) }),
          await readOwn(user, `/api/v1/credits/balance?minRevision=${round}`),
          await readOwn(user, '/api/v1/credits/balance', { 'x-min-revision': token }),
        ];
        for (const { status, body } of seen) {
          expect(status).toBe(200);
          expect(body).toMatchObject({ balance: round, revision: round });
        }
        const listed = await readOwn(user, `/api/v1/credits/transactions?minRevision=${token}`);
        expect(listed.body).toHaveLength(round);
      }
    } finally {
      await working.close();
    }
  });

  it('takes what a repeated key answers for as good a token as the first', async () => {
    const app = service.app();
    await giveCredits(app, 'token-user', 10);
    const first = await app.post(`${SERVICES}/use`, { userId: 'token-user', amount: 1 }, { 'idempotency-key': 'token-1' });
    await app.post(`${SERVICES}/use`, { userId: 'token-user', amount: 1 });
    const again = await app.post(`${SERVICES}/use`, { userId: 'token-user', amount: 1 }, { 'idempotency-key': 'token-1' });
    expect(tokenOf(again)).toBe(tokenOf(first));
  });
});

describe('where no workers run', () => {
  it('is 409 after a bounded wait, on every way of asking', async () => {
    const app = service.app();
    const user = await service.user('unseen-user');
    const token = tokenOf(await giveCredits(app, 'unseen-user', 1));
    const answers = await Promise.all([
      app.get(`${SERVICES}/balance/unseen-user`, { 'x-min-revision': token }),
      app.get(`${SERVICES}/balance/unseen-user?minRevision=${token}`),
      app.get(`${SERVICES}/balance/unseen-user?minRevision=1`),
      user.get('/api/v1/credits/balance', { 'x-min-revision': '1' }),
      user.get(`/api/v1/credits/transactions?minRevision=${token}`),
      app.get(`${SERVICES}/transactions/unseen-user`, { 'x-min-revision': token }),
    ]);
    for (const { status, headers, body } of answers) {
      expect(status).toBe(409);
      expect(headers.get('retry-after')).toMatch(/^\d+$/);
      expect(body).toEqual({
        statusCode: 409,
        error: 'not_yet_visible',
        message: expect.any(String),
        requestId: expect.any(String),
      });
    }
  });

  it('is 409 for a hold that was made, and 404 for one that never was', async () => {
    const app = service.app();
    const token = tokenOf(await giveCredits(app, 'late-hold', 10));
    const id = await holdCredits(app, 'late-hold', 5);
    const never = id.replace('rsv_2', 'rsv_9');
    const notHeld = id.replace('rsv_2', 'rsv_1');
    expect(await app.get(`${SERVICES}/reservations/${id}`)).toMatchObject({ status: 409, body: { error: 'not_yet_visible' } });
    expect(await app.get(`${SERVICES}/reservations/${id}`, { 'x-min-revision': token })).toMatchObject({ status: 409 });
    for (const other of [never, notHeld])
      expect(await app.get(`${SERVICES}/reservations/${other}`)).toMatchObject({
        status: 404,
        body: { error: 'reservation_not_found' },
      });
  });

  it('answers commands all the same, from the log', async () => {
    const app = service.app();
    await giveCredits(app, 'commands-user', 10);
    const reservationId = await holdCredits(app, 'commands-user', 5);
    expect(granted(await app.post(`${SERVICES}/commit`, { reservationId, amount: 2 })).body).toMatchObject({ balance: 8 });
  });

  it('shows a balance without waiting to whoever asks for no revision', async () => {
    await giveCredits(service.app(), 'patient-user', 10);
    const { status, body } = await service.app().get(`${SERVICES}/balance/patient-user`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ revision: -1, balance: 0 });
  });
});

describe('what a token says of other streams', () => {
  it('is told to nobody: it is not looked at', async () => {
    await giveCredits(service.app(), 'victim', 1);
    const forged = Buffer.from(JSON.stringify([['account-victim', 1]])).toString('base64url');
    const stranger = await service.user('stranger');
    for (const answer of [
      await service.anonymous.get(`/api/v1/credits/packages?minRevision=${forged}`),
      await stranger.get(`/api/v1/credits/balance?minRevision=${forged}`),
      await stranger.get('/api/v1/credits/transactions', { 'x-min-revision': forged }),
      await stranger.get('/api/v1/credits/usage', { 'x-min-revision': forged }),
      await stranger.get('/api/v1/credits/explain', { 'x-min-revision': forged }),
    ])
      expect(answer.status).toBe(200);
  });
});

it('takes the revision of an account that nobody knows as it was answered', async () => {
  const { body } = await service.app().get(`${SERVICES}/balance/not-known`);
  const { revision } = body as { revision: number };
  expect((await service.app().get(`${SERVICES}/balance/not-known?minRevision=${revision}`)).body).toEqual(body);
});

describe('what is no revision', () => {
  const tokenFrom = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

  it.each([
    ['a word', 'soon'],
    ['a negative number', '-2'],
    ['a fraction', '1.5'],
    ['a number too long', '1'.repeat(16)],
    ['a token of something else', tokenFrom({ stream: 'account-u', revision: 1 })],
    ['a token with a negative revision', tokenFrom([['account-u', -1]])],
    ['a token with a stream that no stream can be', tokenFrom([['account-\0', 1]])],
    ['a token of too many streams', tokenFrom(Array.from({ length: 101 }, (_, index) => [`account-${index}`, 0]))],
    ['a token with half a surrogate pair', tokenFrom([['account-\ud800', 1]])],
  ])('is 400: %s', async (_, token) => {
    for (const answer of [
      await service.app().get(`${SERVICES}/balance/u`, { 'x-min-revision': token }),
      await service.app().get(`${SERVICES}/transactions/u?minRevision=${token}`),
    ]) {
      expect(answer.status).toBe(400);
      expect(answer.body).toMatchObject({ error: 'validation_failed', details: [{ path: 'minRevision' }] });
    }
  });
});

describe('X-Correlation-Id', () => {
  const metadataOf = async (userId: string): Promise<readonly { correlationId: string }[]> => {
    const events = await eventsOf(service.context.store, `account-${userId}`);
    return events.map(({ metadata }) => JSON.parse(metadata) as { correlationId: string });
  };

  it('is taken, returned, and stored in the events', async () => {
    const { headers } = await service
      .app()
      .post(`${SERVICES}/init`, { userId: 'correlated' }, { 'x-correlation-id': 'trace-7f/42' });
    expect(headers.get('x-correlation-id')).toBe('trace-7f/42');
    expect(await metadataOf('correlated')).toMatchObject([{ correlationId: 'trace-7f/42' }]);
  });

  it('is made where there is none, or one that is no id', async () => {
    const ids = new Set<string>();
    for (const given of [undefined, '', 'has spaces', 'x'.repeat(129)]) {
      const { headers } = await service.app().get('/health', given === undefined ? {} : { 'x-correlation-id': given });
      const id = headers.get('x-correlation-id') ?? '';
      expect(id).toMatch(/^[\da-f]{8}-[\da-f]{4}-4/);
      ids.add(id);
    }
    expect(ids.size).toBe(4);
    const { headers } = await service.app().post(`${SERVICES}/init`, { userId: 'uncorrelated' });
    expect(await metadataOf('uncorrelated')).toMatchObject([{ correlationId: headers.get('x-correlation-id') }]);
  });

  it('is the id of the request in an error', async () => {
    const { body } = await service.anonymous.get('/nowhere', { 'x-correlation-id': 'trace-8' });
    expect(body).toMatchObject({ requestId: 'trace-8' });
  });
});
