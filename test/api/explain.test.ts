import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { AccountCommand } from '../../src/commands/account-decider.ts';
import { accountStream } from '../../src/events/account-events.ts';
import { project } from '../../src/projections/project.ts';
import { credits, grant } from '../support/account-samples.ts';
import { type ApiClient, giveCredits, granted, holdCredits, textOf } from '../support/api-client.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { putForward } from '../support/put-forward.ts';
import { type Service, startService } from '../support/service.ts';

/* Explanations without workers: what is projected is what a test has projected. */

const SERVICES = '/api/v1/internal/credits';
const MINUTE = 60_000;

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

afterEach(() => vi.restoreAllMocks());

const now = Date.now.bind(Date);
const passTime = (milliseconds: number): void => putForward(service.context.clock, milliseconds);

/** What no route asks for yet. Returns the revision of what was written. */
async function execute(userId: string, command: AccountCommand): Promise<number> {
  const id = randomUUID();
  const actor = { kind: 'system', name: 'test' } as const;
  const around = { commandId: id, correlationId: id, causationId: null, key: null };
  const outcome = await service.context.accounts.execute({ stream: accountStream(userId), command, actor, ...around });
  if (outcome.kind !== 'accepted') throw new Error(`${command.type}: ${outcome.kind}`);
  return outcome.event.revision;
}

async function headOf(userId: string): Promise<number> {
  const [last] = await service.context.store.readStream(accountStream(userId), { direction: 'backward', limit: 1 });
  return last?.revision ?? -1;
}

async function projectAll(userId: string): Promise<void> {
  await project(service.context.db, service.context.store, [{ stream: accountStream(userId), revision: await headOf(userId) }]);
}

type Body = { readonly summary: string; readonly grants: readonly { readonly text: string; readonly left: number }[] };

async function explain(userId: string): Promise<Body> {
  await projectAll(userId);
  return granted(await service.app().get(`${SERVICES}/explain/${userId}`)).body as Body;
}

const today = () => new Date(now()).toISOString().slice(0, 10);
const spend = async (client: ApiClient, userId: string, amount: number, more: object = {}) =>
  granted(await client.post(`${SERVICES}/use`, { userId, amount, ...more }));

describe('why the balance is 37', () => {
  const userId = 'thirty-seven';
  let day: string;

  beforeAll(async () => {
    day = today();
    const expiresAt = new Date(Date.UTC(2999, 1, 1)).toISOString();
    await giveCredits(service.app('shop'), userId, 10, { reason: 'welcome', referenceId: 'w', description: 'Hello!', expiresAt });
    await spend(service.app('chat'), userId, 3);
    // A purchase's command comes later; what it writes is known.
    const bought = { source: 'purchase', reason: 'purchase', reference: 'p1', paidCents: 499 } as const;
    await execute(userId, grant({ amount: credits(40), ...bought }));
    const used = await spend(service.app('studio'), userId, 14);
    const { transaction } = used.body as { transaction: object };
    const transactionId = textOf({ ...used, body: transaction }, 'id');
    granted(await service.app('studio').post(`${SERVICES}/refund`, { userId, amount: 6, transactionId }));
    await holdCredits(service.app('studio'), userId, 2, { reason: 'a picture' });
    await projectAll(userId);
  });

  it.each([
    ['GET /credits/explain', '/api/v1/credits/explain', 'user'],
    ['GET /internal/credits/explain/:userId', `${SERVICES}/explain/${userId}`, 'service'],
  ] as const)('%s says where it comes from, what it has paid for, and what is set aside', async (_, path, caller) => {
    const client = caller === 'user' ? await service.user(userId) : service.app();
    const { body } = granted(await client.get(path));
    const text = expect.any(String) as unknown;
    expect(body).toEqual({
      userId,
      summary: `You can spend 37 credits: 37 of 40 bought for €4.99 on ${day}. 2 more are set aside for one piece of work under way.`,
      balance: 37,
      setAside: 2,
      frozen: 0,
      owed: 0,
      currency: 'mana',
      grants: [
        {
          transactionId: `txn_3_account-${userId}`,
          text: `40 credits bought for €4.99 on ${day}, 1 of them used so far (once), 2 set aside for work under way, 37 left.`,
          origin: 'bought for €4.99',
          source: 'purchase',
          reason: 'purchase',
          referenceId: 'p1',
          description: null,
          paidCents: 499,
          amount: 40,
          left: 37,
          setAside: 2,
          frozen: false,
          takenBack: 0,
          goneOtherwise: 0,
          receivedAt: text,
          expiresAt: null,
          paidFor: { uses: 1, used: 7, givenBack: 6, by: [{ appId: 'studio', operation: null, uses: 1, used: 7, givenBack: 6 }] },
        },
      ],
      workUnderWay: [
        {
          reservationId: `rsv_6_account-${userId}`,
          appId: 'studio',
          operation: null,
          description: 'a picture',
          amount: 2,
          since: text,
          until: text,
        },
      ],
      revision: 6,
    });
  });

  it('shows nobody else’s', async () => {
    const other = await service.user('somebody-else');
    expect(granted(await other.get('/api/v1/credits/explain')).body).toEqual({
      userId: 'somebody-else',
      summary: 'You have no credits yet.',
      balance: 0,
      setAside: 0,
      frozen: 0,
      owed: 0,
      currency: 'mana',
      grants: [],
      workUnderWay: [],
      revision: -1,
    });
  });
});

describe('the summary', () => {
  it('names where most of it comes from, and the rest in a sum', async () => {
    for (const [index, source] of (['gift', 'goodwill', 'promo', 'signup', 'adjustment'] as const).entries()) {
      await execute('mixed', grant({ amount: credits(index + 1), source, reason: 'party', reference: source }));
    }
    const [on, { summary }] = [today(), await explain('mixed')];
    expect(summary).toBe(
      `You can spend 15 credits: 5 from a correction on ${on}, 4 given for signing up on ${on}, 3 given (party) on ${on} ` +
        'and 3 from 2 others.',
    );
  });

  it('says that all is spent', async () => {
    await giveCredits(service.app(), 'spent', 1.5);
    await spend(service.app(), 'spent', 1.5);
    expect(await explain('spent')).toMatchObject({
      summary: 'You have no credits to spend: 1.5 came in so far, and 1.5 of that are used.',
      grants: [],
    });
  });

  it('says what is frozen, and what is owed', async () => {
    const revision = await execute('disputed', grant({ amount: credits(8), source: 'purchase' }));
    await spend(service.app(), 'disputed', 3);
    await execute('disputed', { type: 'FreezeGrant', grant: revision, reference: 'dp_1' });
    const frozen = await explain('disputed');
    expect(frozen.summary).toMatch(/5 credits are frozen while a payment is looked into\.$/);
    expect(frozen.grants).toMatchObject([{ frozen: true, left: 5 }]);
    expect(frozen.grants[0]?.text).toMatch(/^8 credits bought on .*, 5 left, frozen while the payment is looked into\.$/);
    await execute('disputed', { type: 'RevokeGrant', grant: revision, amount: null, reference: 'dp_1' });
    expect(await explain('disputed')).toMatchObject({
      summary: expect.stringMatching(/You owe 3 credits: whatever comes in next pays that first\.$/) as unknown,
      owed: 3,
      grants: [],
    });
  });

  it('says what went elsewhere of a grant', async () => {
    await giveCredits(service.app(), 'giving', 8);
    await execute('giving', {
      type: 'DebitCredits',
      amount: credits(5),
      reason: 'gift_created',
      reference: 'g1',
      appId: null,
      personal: null,
    });
    const { grants } = await explain('giving');
    expect(grants).toMatchObject([{ left: 3, goneOtherwise: 5, paidFor: { uses: 0, used: 0, by: [] } }]);
    expect(grants[0]?.text).toMatch(/, 5 gone otherwise, 3 left\.$/);
  });
});

it('has no words of who was erased, and all of the rest', async () => {
  const userId = 'erased';
  await giveCredits(service.app(), userId, 5, { description: 'for Ada' });
  const described = (body: object) => expect.objectContaining({ balance: 5, grants: [expect.objectContaining(body)] }) as unknown;
  expect(await explain(userId)).toEqual(described({ description: 'for Ada', left: 5 }));
  granted(await service.app().post('/api/v1/internal/privacy/erase', { userId }));
  expect(await explain(userId)).toEqual(described({ description: null, left: 5 }));
});

describe('what has run out', () => {
  it('is not shown, though nobody has written it down: it is first, then the answer waits to see it', async () => {
    const userId = 'late';
    await giveCredits(service.app(), userId, 10, { expiresAt: new Date(now() + 10 * MINUTE).toISOString() });
    await giveCredits(service.app(), userId, 3);
    await holdCredits(service.app(), userId, 1, { ttlSeconds: 60 });
    await projectAll(userId);
    passTime(11 * MINUTE);
    const asked = service.app().get(`${SERVICES}/explain/${userId}`);
    await vi.waitFor(async () => expect(await headOf(userId)).toBe(4), { timeout: 1_500, interval: 10 });
    await projectAll(userId);
    expect(granted(await asked).body).toMatchObject({
      balance: 3,
      setAside: 0,
      grants: [{ left: 3, setAside: 0 }],
      workUnderWay: [],
      revision: 4,
    });
  });

  it('is not shown either where nobody projects: then there is no answer yet', async () => {
    const userId = 'stuck';
    await giveCredits(service.app(), userId, 10, { expiresAt: new Date(now() + 10 * MINUTE).toISOString() });
    await projectAll(userId);
    passTime(11 * MINUTE);
    const { status, body } = await service.app().get(`${SERVICES}/explain/${userId}`);
    expect(status).toBe(409);
    expect(body).toMatchObject({ error: 'not_yet_visible' });
    expect(await explain(userId)).toMatchObject({ balance: 0, grants: [] });
  });
});
