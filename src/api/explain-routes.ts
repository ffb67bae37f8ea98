import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { accountStream } from '../events/account-events.ts';
import { creditsFromMicro, type Micro, minus, plus, ZERO } from '../events/amounts.ts';
import type { Words } from '../events/personal.ts';
import { wireId } from '../events/wire-ids.ts';
import { explainBalance, type Explained, type StandingLot } from '../projections/explain.ts';
import type { Reservation } from '../projections/reservations.ts';
import { accountNow } from './account-now.ts';
import { callingUser } from './auth.ts';
import { lotText, NO_CREDITS, originOf, summaryOf, wentElsewhere } from './explain-text.ts';
import { type ApiParts, reading, type Routes, typed } from './parts.ts';
import { minRevisionOf, waitUntilVisible } from './revisions.ts';
import { creditsSchema, errorSchema, userIdSchema } from './schemas.ts';

/** Of what a lot paid for, and of what is set aside, so much is listed at the most: the rest stands in sums. */
const MAX_PAID_FOR = 20;
const LIMITS = { holds: 100, lookedThrough: 10_000 };

const query = z.object({ minRevision: z.string().optional() });

const paidForSchema = z.object({
  uses: z.number(),
  used: creditsSchema,
  givenBack: creditsSchema.meta({ description: 'What of it came back, since what it paid for failed' }),
});

const grantSchema = z.object({
  transactionId: z.string(),
  text: z.string().meta({ description: 'This grant in a sentence' }),
  origin: z.string().meta({ description: 'Where it came from, in words' }),
  source: z.string(),
  reason: z.string(),
  referenceId: z.string(),
  description: z.string().nullable(),
  paidCents: z.number().nullable().meta({ description: 'What was paid for it, in euro cents' }),
  amount: creditsSchema.meta({ description: 'How much came in' }),
  left: creditsSchema.meta({ description: 'What of it is left, and not set aside' }),
  setAside: creditsSchema.meta({ description: 'What of it is kept for work under way' }),
  frozen: z.boolean().meta({ description: 'Whether what is left can not be spent for now' }),
  takenBack: creditsSchema.meta({ description: 'What of it was taken back, from it or from other credits' }),
  goneOtherwise: creditsSchema.meta({ description: 'What went into gifts, pools and debts, was taken back or ran out' }),
  receivedAt: z.string(),
  expiresAt: z.string().nullable(),
  paidFor: paidForSchema.extend({
    by: z.array(paidForSchema.extend({ appId: z.string(), operation: z.string().nullable() })),
    others: paidForSchema.optional().meta({ description: 'What is not listed: the smallest, and what lies far back' }),
  }),
});

const answer = z.object({
  userId: z.string(),
  summary: z.string().meta({ description: 'Why the balance is what it is, in a few sentences' }),
  balance: creditsSchema.meta({ description: 'What can be spent now: what is left of all grants that are not frozen' }),
  setAside: creditsSchema.meta({ description: 'What is kept for work under way' }),
  frozen: creditsSchema,
  owed: creditsSchema.meta({ description: 'What the next credits pay first' }),
  currency: z.literal('mana'),
  grants: z.array(grantSchema).meta({ description: 'In the order in which they are spent' }),
  workUnderWay: z.array(
    z.object({
      reservationId: z.string(),
      appId: z.string(),
      operation: z.string().nullable(),
      description: z.string().nullable(),
      amount: creditsSchema,
      since: z.string(),
      until: z.string(),
    }),
  ),
  revision: z.number(),
});

/** Why a balance is what it is, for its user and for who helps them. */
export const explainRoutes: Routes = (parts) => async (app) => {
  const routes = typed(app);

  routes.get(
    '/credits/explain',
    {
      config: { access: { kind: 'user' } },
      schema: { tags: ['credits'], querystring: query, response: { 200: answer, '4xx': errorSchema } },
    },
    async (request) => explain(parts, request, callingUser(request)),
  );

  routes.get(
    '/internal/credits/explain/:userId',
    {
      config: { access: { kind: 'service', scope: 'credits:read' } },
      schema: {
        tags: ['services'],
        params: z.object({ userId: userIdSchema }),
        querystring: query,
        response: { 200: answer, '4xx': errorSchema },
      },
    },
    async (request) => explain(parts, request, request.params.userId),
  );
};

async function explain(parts: ApiParts, request: FastifyRequest, userId: string): Promise<z.infer<typeof answer>> {
  const { db, personal } = parts;
  return reading(async () => {
    await waitUntilVisible(db, minRevisionOf(request, accountStream(userId)));
    const found = await explainedNow(parts, userId);
    if (found === undefined) return nothing(userId);
    const stream = accountStream(userId);
    const sealed = [...found.lots, ...found.holds].map((one) => ({ stream, ciphertext: one.personal }));
    return explainAnswer(userId, found, await personal.open(sealed));
  });
}

/** From the read models; where something has run out meanwhile, once they show that. */
async function explainedNow(parts: ApiParts, userId: string): Promise<Explained | undefined> {
  const { db, clock } = parts;
  const found = await explainBalance(db, userId, LIMITS);
  const dueAt = found?.balance.dueAt ?? null;
  if (dueAt === null || dueAt.getTime() > clock.now()) return found;
  const { revision } = await accountNow(parts.accounts, userId);
  await waitUntilVisible(db, [[accountStream(userId), revision]]);
  return explainBalance(db, userId, LIMITS);
}

function nothing(userId: string): z.infer<typeof answer> {
  const zeros = { balance: 0, setAside: 0, frozen: 0, owed: 0 };
  return { userId, summary: NO_CREDITS, ...zeros, currency: 'mana', grants: [], workUnderWay: [], revision: -1 };
}

/** `words` are those of the lots, then those of the holds. */
function explainAnswer(userId: string, found: Explained, words: readonly (Words | null)[]): z.infer<typeof answer> {
  const { balance, lots, holds } = found;
  return {
    userId,
    summary: summaryOf(found),
    balance: creditsFromMicro(balance.available),
    setAside: creditsFromMicro(balance.reserved),
    frozen: creditsFromMicro(balance.frozen),
    owed: creditsFromMicro(balance.debt),
    currency: 'mana',
    grants: lots.map((lot, index) => grantAnswer(userId, lot, words[index] ?? null)),
    workUnderWay: holds.map((hold, index) => holdAnswer(hold, words[lots.length + index] ?? null)),
    revision: balance.revision,
  };
}

function grantAnswer(userId: string, lot: StandingLot, words: Words | null): z.infer<typeof grantSchema> {
  return {
    transactionId: wireId('txn', { stream: accountStream(userId), revision: lot.revision }),
    text: lotText(lot),
    origin: originOf(lot),
    source: lot.source,
    reason: lot.reason,
    referenceId: lot.reference,
    description: words?.description ?? words?.reason ?? null,
    paidCents: lot.paidCents,
    amount: creditsFromMicro(lot.amount),
    left: creditsFromMicro(lot.left),
    setAside: creditsFromMicro(lot.held),
    frozen: lot.frozen,
    takenBack: creditsFromMicro(lot.revoked),
    goneOtherwise: creditsFromMicro(wentElsewhere(lot)),
    receivedAt: lot.createdAt.toISOString(),
    expiresAt: lot.expiresAt?.toISOString() ?? null,
    paidFor: paidForAnswer(lot),
  };
}

type Paid = { readonly uses: number; readonly used: Micro; readonly givenBack: Micro };

function paidForAnswer(lot: StandingLot): z.infer<typeof grantSchema>['paidFor'] {
  const listed = lot.paidFor.slice(0, MAX_PAID_FOR);
  const others = listed.reduce(
    (rest: Paid, one) => ({
      uses: rest.uses - one.uses,
      used: minus(rest.used, one.used),
      givenBack: minus(rest.givenBack, one.givenBack),
    }),
    lot,
  );
  return {
    ...amountsOf(lot),
    by: listed.map((one) => ({ appId: one.app, operation: one.operation, ...amountsOf(one) })),
    ...(plus(others.used, others.givenBack) > ZERO && { others: amountsOf(others) }),
  };
}

function amountsOf({ uses, used, givenBack }: Paid): z.infer<typeof paidForSchema> {
  return { uses, used: creditsFromMicro(used), givenBack: creditsFromMicro(givenBack) };
}

function holdAnswer(hold: Reservation, words: Words | null): z.infer<typeof answer>['workUnderWay'][number] {
  return {
    reservationId: wireId('rsv', { stream: accountStream(hold.userId), revision: hold.revision }),
    appId: hold.appId ?? hold.app,
    operation: hold.operation,
    description: words?.description ?? words?.reason ?? null,
    amount: creditsFromMicro(hold.amount),
    since: hold.createdAt.toISOString(),
    until: hold.expiresAt.toISOString(),
  };
}
