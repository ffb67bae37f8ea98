import { credits, microIn, must, mustBe, objectIn, remember, type SoakAccount, type Use } from './accounts.ts';
import { type Draft, draft, move } from './draft.ts';
import type { Random } from './random.ts';

/* Commands that bring credits into an account. */

const TOO_MUCH = '422 limit_exceeded';

/** What an account gets the first time that it is opened by name. */
export const SIGNUP_GRANT = 3_000_000;

/** Opens an account, again where it is open. */
export function init(account: SoakAccount): Draft {
  return draft(account, {
    kind: 'init',
    type: undefined,
    path: 'init',
    body: { userId: account.userId },
    refusals: () => [],
    accepted(answer) {
      const first = !account.signedUp;
      account.signedUp = true;
      move(account, { available: first ? SIGNUP_GRANT : 0, reserved: 0 }, microIn(answer, 'balance'));
      return 'either';
    },
  });
}

/** Gives credits; some of them not for long, where the account is not known exactly. */
export function grant(account: SoakAccount, random: Random, reference: string): Draft {
  const amount = random.between(1, 40_000_000);
  const fades = account.exact === undefined && random.chance(0.3);
  const expiresAt = fades ? new Date(Date.now() + random.between(3_000, 15_000)).toISOString() : undefined;
  const priority = random.chance(0.3) ? random.between(1, 100) : undefined;
  return draft(account, {
    kind: 'grant',
    type: 'grant',
    path: 'grant',
    body: { userId: account.userId, amount: credits(amount), reason: 'soak', referenceId: reference, expiresAt, priority },
    // It may take longer to get through than the credits were to last.
    refusals: () => (fades ? [TOO_MUCH, '400 validation_failed'] : account.exact === undefined ? [TOO_MUCH] : []),
    accepted(answer) {
      must(answer['alreadyGranted'] === false, 'a new reference was granted before');
      remember(account.references, reference);
      move(account, { available: amount, reserved: 0 }, microIn(answer, 'newBalance'));
      return 'own';
    },
  });
}

/** Gives what was given before: nothing comes of it. */
export function grantAgain(account: SoakAccount, random: Random): Draft | undefined {
  if (account.references.length === 0) return undefined;
  const body = { userId: account.userId, amount: 7, reason: 'soak', referenceId: random.pick(account.references) };
  return draft(account, {
    kind: 'grant',
    type: 'grant',
    path: 'grant',
    body,
    refusals: () => [],
    accepted(answer) {
      must(answer['alreadyGranted'] === true, 'a reference was granted twice');
      move(account, { available: 0, reserved: 0 }, microIn(answer, 'newBalance'));
      return 'other';
    },
  });
}

/** Gives credits without a usage. */
export function goodwill(account: SoakAccount, random: Random): Draft {
  const amount = random.between(1, 2_000_000);
  return draft(account, {
    kind: 'grant',
    type: 'refund',
    path: 'refund',
    body: { userId: account.userId, amount: credits(amount), description: 'for the trouble' },
    refusals: () => (account.exact === undefined ? [TOO_MUCH] : []),
    accepted(answer) {
      const given = objectIn(answer, 'transaction');
      mustBe(microIn(given, 'amount'), amount, 'what was given');
      move(account, { available: amount, reserved: 0 }, microIn(objectIn(answer, 'newBalance'), 'balance'));
      return 'own';
    },
  });
}

/** Gives back some of a consumption, all of it, or (what must be refused) more. */
export function refund(account: SoakAccount, used: Use, amount: number): Draft {
  const putUseBack = (): void => {
    if (used.left > 0) remember(account.uses, used);
  };
  return draft(account, {
    kind: 'refund',
    type: 'refund',
    path: 'refund',
    body: { userId: account.userId, transactionId: used.id, amount: credits(amount), description: 'it failed' },
    refusals: () => [
      ...(amount > used.left ? ['422 refund_exceeds_consumption'] : []),
      ...(account.exact === undefined ? [TOO_MUCH] : []),
    ],
    undone: putUseBack,
    accepted(answer) {
      must(amount <= used.left, `${used.id} gave back more than it took`);
      mustBe(microIn(objectIn(answer, 'transaction'), 'amount'), amount, 'what came back');
      used.left -= amount;
      putUseBack();
      move(account, { available: amount, reserved: 0 }, microIn(objectIn(answer, 'newBalance'), 'balance'));
      return 'own';
    },
  });
}
