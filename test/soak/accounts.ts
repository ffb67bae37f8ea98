import { accountStream } from '../../src/events/account-events.ts';
import { creditsFromMicro, micro, microFromCredits } from '../../src/events/amounts.ts';

/*
 * What the soak knows of accounts: by what it was answered alone. Amounts are micro-credits.
 */

/** A hold that may be settled. */
export type Hold = {
  readonly id: string;
  readonly amount: number;
  /** Whether it lasts as long as the soak. */
  readonly lasts: boolean;
  /** How many commands have named it. */
  named: number;
  /** The token of what settled it. */
  settledBy: string | undefined;
};

/** A consumption, with what of it may still be given back. */
export type Use = { readonly id: string; left: number; readonly freeUnits: number };

/** What is known of an account that one client has for itself: all of it, to the last micro-credit. */
export type Exact = { available: number; reserved: number };

export type SoakAccount = {
  readonly userId: string;
  readonly stream: string;
  /** Where one client alone sends commands, and nothing ever runs out. */
  readonly exact: Exact | undefined;
  readonly holds: Hold[];
  readonly uses: Use[];
  /** References of grants that were acknowledged, a few. */
  readonly references: string[];
  signedUp: boolean;
  /** What the acknowledged answers leave, spendable and held together. */
  sum: number;
  /** The token of the last command that was acknowledged. */
  token: string | undefined;
};

/** How much of what may be settled or given back is remembered of an account. */
const REMEMBERED = 200;

/** An account that nobody has opened. `own`: whether one client has it for itself. */
export function soakAccount(userId: string, own: boolean): SoakAccount {
  return {
    userId,
    stream: accountStream(userId),
    exact: own ? { available: 0, reserved: 0 } : undefined,
    holds: [],
    uses: [],
    references: [],
    signedUp: false,
    sum: 0,
    token: undefined,
  };
}

/** Puts something to what is remembered; the oldest is forgotten where it gets too much. */
export function remember<Item>(items: Item[], item: Item): void {
  items.push(item);
  if (items.length > REMEMBERED) items.shift();
}

/** An answer, or an end of the soak: something that the contract rules out. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
}

/** Throws where something does not hold that the contract says. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new ContractError(what);
}

/** What a member of an answer's body is. */
export type Body = { readonly [member: string]: unknown };

/** The micro-credits that a member of an answer says. */
export function microIn(body: Body, member: string): number {
  const value = body[member];
  const sign = typeof value === 'number' && value < 0 ? -1 : 1;
  const amount = typeof value === 'number' ? microFromCredits(sign * value) : undefined;
  must(amount !== undefined, `"${member}" is no amount: ${JSON.stringify(value)}`);
  return sign * amount;
}

/** The object that a member of an answer is. */
export function objectIn(body: Body, member: string): Body {
  const value = body[member];
  must(typeof value === 'object' && value !== null && !Array.isArray(value), `"${member}" is no object`);
  return value as Body;
}

/** The text that a member of an answer is. */
export function textIn(body: Body, member: string): string {
  const value = body[member];
  must(typeof value === 'string', `"${member}" is no text: ${JSON.stringify(value)}`);
  return value;
}

/** Whether an amount is what it has to be. */
export function mustBe(found: number, expected: number, what: string): void {
  must(found === expected, `${what} is ${credits(found)}, and must be ${credits(expected)}`);
}

/** Credits for the wire. */
export function credits(amount: number): number {
  return creditsFromMicro(micro(amount));
}
