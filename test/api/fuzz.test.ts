import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Answer, giveCredits, holdCredits } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { type Service, startService } from '../support/service.ts';

/*
 * Random bodies, most of them nearly right: whatever comes in, the answer is never a fault of ours, and never shows how
 * we are made.
 */

const SERVICES = '/api/v1/internal/credits';
const RUNS = 200;

let database: TestDatabase;
let service: Service;
let reservationId: string;

beforeAll(async () => {
  database = await createTestDatabase();
  service = await startService({ databaseUrl: database.url, workers: true });
  await giveCredits(service.app(), 'fuzz', 1_000);
  reservationId = await holdCredits(service.app(), 'fuzz', 1);
});

afterAll(async () => {
  await service?.close();
  await database?.close();
});

// Texts as they are sent: half a surrogate pair is written as an escape.
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)), maxLength: 8 }),
  fc.constantFrom('', 'fuzz', '\0', '\ud800', '__proto__', 'toString', "'; drop table ledger.events; --"),
);
const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(0.000001, 1, 1e9, 1e21, -0, Number.MAX_SAFE_INTEGER));
const anything = fc.oneof(text, number, fc.boolean(), fc.constant(null), fc.jsonValue({ maxDepth: 4 }));
const id = fc.oneof(
  text,
  fc.tuple(fc.constantFrom('rsv', 'txn'), number, text).map((parts) => parts.join('_')),
  fc.nat(5).map((revision) => `rsv_${revision}_account-fuzz`),
);

const FIELDS: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  userId: fc.oneof(text, fc.constant('fuzz'), anything),
  amount: fc.oneof(number, fc.constant(0.001), anything),
  reservationId: fc.oneof(id, anything),
  reason: fc.oneof(text, anything),
  referenceId: fc.oneof(text, anything),
  description: fc.oneof(text, anything),
  appId: fc.oneof(text, anything),
  idempotencyKey: fc.oneof(text, anything),
  metadata: fc.oneof(fc.dictionary(text, anything), anything),
  ttlSeconds: fc.oneof(fc.integer({ min: 1, max: 60 }), anything),
  expiresAt: fc.oneof(
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    anything,
  ),
  priority: fc.oneof(fc.integer({ min: 1, max: 100 }), anything),
  onExpired: fc.oneof(fc.constantFrom('available', 'refuse'), anything),
  creditSource: fc.oneof(fc.constant({ type: 'personal' }), anything),
};

const body = fc.oneof({ weight: 9, arbitrary: fc.record(FIELDS, { requiredKeys: [] }) }, { weight: 1, arbitrary: anything });

function expectNoFault({ status, body: answered }: Answer, sent: string): void {
  if (status >= 500) throw new Error(`${status} ${JSON.stringify(answered)} to ${sent}`);
  expect(JSON.stringify(answered)).not.toMatch(/\bat .*:\d+:\d+|node_modules/);
  if (status >= 400)
    expect(answered).toMatchObject({ statusCode: status, error: expect.any(String), requestId: expect.any(String) });
}

it.each(['init', 'validate', 'use', 'reserve', 'commit', 'refund-reservation', 'grant'])(
  'takes any body at %s without a fault',
  async (route) => {
    await fc.assert(
      fc.asyncProperty(body, async (value) => {
        const sent = JSON.stringify(value);
        expectNoFault(
          await service.app().send('POST', `${SERVICES}/${route}`, sent, { 'content-type': 'application/json' }),
          sent,
        );
      }),
      { numRuns: RUNS },
    );
  },
);

it('takes any body at the users’ use without a fault', async () => {
  const user = await service.user('fuzz');
  await fc.assert(
    fc.asyncProperty(body, async (value) => {
      const sent = JSON.stringify(value);
      expectNoFault(await user.send('POST', '/api/v1/credits/use', sent, { 'content-type': 'application/json' }), sent);
    }),
    { numRuns: RUNS },
  );
});

it('takes any bytes for a body without a fault', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      const answer = await service.app().send('POST', `${SERVICES}/use`, bytes, { 'content-type': 'application/json' });
      expectNoFault(answer, Buffer.from(bytes).toString('hex'));
      expect(answer.status).toBe(400);
    }),
    { numRuns: RUNS },
  );
});

it('takes any path and query without a fault', async () => {
  const part = fc.oneof(
    text.map((one) => encodeURIComponent(Buffer.from(one, 'utf8').toString('utf8'))),
    fc.stringMatching(/^[\w%.~!$&'()*+,;=:@-]{0,30}$/),
    fc.constant(reservationId),
  );
  const name = fc.constantFrom('limit', 'offset', 'minRevision', 'x', 'cursor', 'type', 'appId', 'from', 'to', 'groupBy');
  const date = fc.date({ noInvalidDate: true }).map((one) => one.toISOString());
  const query = fc.dictionary(name, fc.oneof(fc.integer().map(String), text, date));
  const routes = fc.constantFrom('balance', 'transactions', 'reservations', 'usage', 'explain');
  await fc.assert(
    fc.asyncProperty(routes, part, query, async (route, one, asked) => {
      const path = `${SERVICES}/${route}/${one}?${new URLSearchParams(asked).toString()}`;
      // Waiting for what is never there would only take time.
      if (/minRevision=\d/.test(path)) return;
      expectNoFault(await service.app().get(path), path);
    }),
    { numRuns: RUNS },
  );
}, 120_000);

it('has logged no fault of ours', () => {
  expect(service.logged.filter((line) => (JSON.parse(line) as { level: number }).level >= 50)).toEqual([]);
});
