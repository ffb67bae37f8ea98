import {
  type Body,
  ContractError,
  credits,
  type Hold,
  microIn,
  must,
  mustBe,
  objectIn,
  remember,
  type SoakAccount,
  textIn,
  type Use,
} from './accounts.ts';
import { type Draft, draft, move, STRANGER, WATCHED } from './draft.ts';
import type { Random } from './random.ts';

/* Commands that take credits out of an account, hold them, and settle holds. */

const TOO_LITTLE = '402 insufficient_credits';

/** What a refusal for want of credits says must be so, of an account that is known exactly; `held`: of the hold in question. */
function checkShort(account: SoakAccount, answer: Body, alone: boolean, held = 0): readonly string[] {
  if (answer['error'] !== 'insufficient_credits') return [TOO_LITTLE];
  const [required, available] = [microIn(answer, 'requiredCredits'), microIn(answer, 'availableCredits')];
  // An account that nobody has opened pays for nothing, be it free.
  must(required > available || (required === 0 && available === 0), 'refused for want of what is there');
  if (alone && account.exact !== undefined) mustBe(available, account.exact.available + held, 'what a refusal says is there');
  return [TOO_LITTLE];
}

/** What is asked for: an amount, or so many units of an operation at its price. */
export type Asked = { readonly amount: number } | { readonly operation: string; readonly quantity: number };

function askedBody(asked: Asked): Body {
  return 'amount' in asked ? { amount: credits(asked.amount) } : asked;
}

/** Uses credits in one step. */
export function use(account: SoakAccount, asked: Asked, app: string): Draft {
  return draft(account, {
    kind: 'use',
    type: 'use',
    path: 'use',
    app,
    body: { userId: account.userId, ...askedBody(asked), description: 'a use' },
    refusals: (alone, answer) => checkShort(account, answer, alone),
    accepted(answer) {
      const used = microIn(answer, 'creditsUsed');
      const transaction = objectIn(answer, 'transaction');
      mustBe(microIn(transaction, 'amount'), -used, 'the amount of a usage');
      const freeUnits = (transaction['freeUnits'] as number | undefined) ?? 0;
      checkCharge(asked, app, used, transaction, freeUnits);
      if (used + freeUnits > 0) remember<Use>(account.uses, { id: textIn(transaction, 'id'), left: used, freeUnits });
      move(account, { available: -used, reserved: 0 }, microIn(objectIn(answer, 'newBalance'), 'balance'));
      return 'own';
    },
  });
}

/** That what was taken is what was asked for, or what its units cost at the price that the answer names. */
function checkCharge(asked: Asked, app: string, used: number, transaction: Body, freeUnits: number): void {
  // Of an app that is observed less may be taken.
  const uncovered = app === WATCHED && transaction['uncovered'] !== undefined ? microIn(transaction, 'uncovered') : 0;
  if ('amount' in asked) return mustBe(used + uncovered, asked.amount, 'what was used');
  const price = objectIn(transaction, 'price');
  const cost = BigInt(microIn(price, 'cost')) * BigInt(asked.quantity - freeUnits);
  const per = BigInt(price['per'] as number);
  return mustBe(used + uncovered, Number((cost + per - 1n) / per), 'what some units cost');
}

/** Holds credits, for a moment or for long. */
export function reserve(account: SoakAccount, asked: Asked, random: Random): Draft {
  const lasts = account.exact !== undefined || random.chance(0.7);
  const ttlSeconds = lasts ? 3_600 : random.between(1, 12);
  return draft(account, {
    kind: 'reserve',
    type: 'reserve',
    path: 'reserve',
    body: { userId: account.userId, ...askedBody(asked), ttlSeconds, metadata: { work: [1, 'two'] } },
    refusals: (alone, answer) => checkShort(account, answer, alone),
    accepted(answer) {
      const amount = microIn(answer, 'amount');
      if ('amount' in asked) mustBe(amount, asked.amount, 'what is held');
      const id = textIn(answer, 'reservationId');
      remember<Hold>(account.holds, { id, amount, lasts, named: 0, settledBy: undefined });
      move(account, { available: -amount, reserved: amount }, microIn(answer, 'balance'));
      return 'own';
    },
  });
}

/** Whether a settlement is the first that is heard of; a hold that several have named may be settled by each of them. */
function isNewSettlement(hold: Hold, token: string): boolean {
  must(hold.settledBy === undefined || hold.settledBy === token, `${hold.id} is settled twice`);
  const isNew = hold.settledBy === undefined;
  hold.settledBy = token;
  return isNew;
}

const SETTLED = '409 reservation_already_resolved';

function putBack(account: SoakAccount, hold: Hold): void {
  if (hold.settledBy === undefined && !account.holds.includes(hold)) remember(account.holds, hold);
}

/** Takes what the work behind a hold has cost: all of it, less or more. */
export function commit(account: SoakAccount, hold: Hold, amount: number | undefined, onExpired: 'available' | 'refuse'): Draft {
  const asked = amount ?? hold.amount;
  return draft(account, {
    kind: 'commit',
    type: 'commit',
    path: 'commit',
    body: { reservationId: hold.id, ...(amount !== undefined && { amount: credits(amount) }), onExpired },
    refusals: (alone, answer) => [
      ...(hold.lasts && asked <= hold.amount ? [] : checkShort(account, answer, alone, hold.amount)),
      ...(hold.lasts ? [] : ['402 reservation_expired']),
      ...(hold.named > 1 ? [SETTLED] : []),
    ],
    undone: () => putBack(account, hold),
    accepted(answer, token) {
      mustBe(microIn(answer, 'creditsUsed'), asked, 'what a commit took');
      if (hold.lasts) mustBe(microIn(answer, 'released'), Math.max(hold.amount - asked, 0), 'what a commit gave back');
      if (isNewSettlement(hold, token)) {
        if (asked > 0) remember<Use>(account.uses, { id: textIn(answer, 'transactionId'), left: asked, freeUnits: 0 });
        move(account, { available: hold.amount - asked, reserved: -hold.amount }, microIn(answer, 'balance'));
      }
      return hold.named > 1 ? 'either' : 'own';
    },
  });
}

/** Gives back what a hold kept. */
export function release(account: SoakAccount, hold: Hold): Draft {
  return draft(account, {
    kind: 'release',
    type: 'release',
    path: 'refund-reservation',
    body: { reservationId: hold.id, reason: 'the work failed' },
    refusals: () => (hold.named > 1 ? [SETTLED] : []),
    undone: () => putBack(account, hold),
    accepted(answer, token) {
      const released = microIn(answer, 'released');
      must(released === hold.amount || (!hold.lasts && released === 0), `${hold.id} gave back ${credits(released)}`);
      if (isNewSettlement(hold, token))
        move(account, { available: hold.amount, reserved: -hold.amount }, microIn(answer, 'balance'));
      return hold.named > 1 ? 'either' : 'own';
    },
  });
}

/** Asks to settle a hold in the name of an app that did not make it. */
export function settleOfAnother(account: SoakAccount, hold: Hold): Draft {
  return draft(account, {
    kind: 'commit',
    type: 'commit',
    path: 'commit',
    app: STRANGER,
    body: { reservationId: hold.id },
    refusals: () => ['403 forbidden'],
    accepted: () => {
      throw new ContractError(`${hold.id} was settled by another app`);
    },
  });
}
