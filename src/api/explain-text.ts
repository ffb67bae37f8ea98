import { formatCredits, type Micro, minus, plus, ZERO } from '../events/amounts.ts';
import type { Explained, StandingLot } from '../projections/explain.ts';
import { dayOf } from './time-range.ts';

/* Why a balance is what it is, in words that need no accountant. */

/** Grants that the summary names one by one, at the most. */
const NAMED = 3;

/** Where a lot came from, as its owner would say it. */
export function originOf({ source, reason, paidCents }: Pick<StandingLot, 'source' | 'reason' | 'paidCents'>): string {
  switch (source) {
    case 'purchase':
      return paidCents === null ? 'bought' : `bought for €${euros(paidCents)}`;
    case 'gift':
      return 'from a gift';
    case 'signup':
      return 'given for signing up';
    case 'goodwill':
      return 'given as goodwill';
    case 'adjustment':
      return 'from a correction';
    case 'refund':
      return 'given back for something that failed';
    default:
      return `given (${reason})`;
  }
}

/** One lot in a sentence: how much came when and from where, what it has paid for, what is left and until when. */
export function lotText(lot: StandingLot): string {
  const parts = [`${credits(lot.amount)} ${originOf(lot)} on ${dayOf(lot.createdAt)}`];
  const spent = minus(lot.used, lot.givenBack);
  if (lot.uses > 0) parts.push(`${formatCredits(spent)} of them used so far (${times(lot.uses)})`);
  const elsewhere = wentElsewhere(lot);
  if (elsewhere > 0) parts.push(`${formatCredits(elsewhere)} gone otherwise`);
  if (lot.held > 0) parts.push(`${formatCredits(lot.held)} set aside for work under way`);
  parts.push(leftText(lot));
  return `${parts.join(', ')}.`;
}

function leftText({ left, frozen, expiresAt }: StandingLot): string {
  if (left === 0) return 'nothing left to spend';
  if (frozen) return `${formatCredits(left)} left, frozen while the payment is looked into`;
  return `${formatCredits(left)} left${expiresAt === null ? '' : `, until ${dayOf(expiresAt)}`}`;
}

/** What of a lot went neither into uses nor is left: into gifts, pools and debts, taken back, or run out. In micro-credits. */
export function wentElsewhere({ amount, left, held, used, givenBack }: StandingLot): Micro {
  return minus(minus(minus(amount, left), held), minus(used, givenBack));
}

/** The balance in a few sentences: from where it comes, what is set aside, frozen, owed. */
export function summaryOf({ balance, lots, holdCount }: Explained): string {
  const { available, reserved, frozen, debt } = balance;
  const sentences = [available === 0 ? nothingText(balance) : `You can spend ${credits(available)}: ${sourcesText(lots)}.`];
  if (reserved > 0) {
    const holds = holdCount === 1 ? 'one piece of work' : `${holdCount} pieces of work`;
    sentences.push(`${formatCredits(reserved)} more ${isAre(reserved)} set aside for ${holds} under way.`);
  }
  if (frozen > 0) sentences.push(`${credits(frozen)} ${isAre(frozen)} frozen while a payment is looked into.`);
  if (debt > 0) sentences.push(`You owe ${credits(debt)}: whatever comes in next pays that first.`);
  return sentences.join(' ');
}

/** What is said of somebody who never had anything. */
export const NO_CREDITS = 'You have no credits yet.';

function nothingText({ earned, spent }: Explained['balance']): string {
  if (earned === 0) return NO_CREDITS;
  return `You have no credits to spend: ${formatCredits(earned)} came in so far, and ${formatCredits(spent)} of that ${isAre(spent)} used.`;
}

function sourcesText(lots: readonly StandingLot[]): string {
  const spendable = lots.filter(({ left, frozen }) => left > 0 && !frozen).toSorted((a, b) => b.left - a.left);
  const named = spendable.slice(0, NAMED).map((lot) => {
    const ofThem = lot.left === lot.amount ? '' : ` of ${formatCredits(lot.amount)}`;
    return `${formatCredits(lot.left)}${ofThem} ${originOf(lot)} on ${dayOf(lot.createdAt)}`;
  });
  const others = spendable.slice(NAMED);
  if (others.length > 0) {
    const rest = others.reduce((sum, { left }) => plus(sum, left), ZERO);
    named.push(`${formatCredits(rest)} from ${others.length === 1 ? 'one other' : `${others.length} others`}`);
  }
  return named.length === 1 ? named.join('') : `${named.slice(0, -1).join(', ')} and ${named.at(-1) ?? ''}`;
}

function credits(amount: Micro): string {
  return `${formatCredits(amount)} ${formatCredits(amount) === '1' ? 'credit' : 'credits'}`;
}

function isAre(amount: Micro): string {
  return formatCredits(amount) === '1' ? 'is' : 'are';
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

/** Euro cents as euros, without a float on the way. */
function euros(cents: number): string {
  const digits = String(cents).padStart(3, '0');
  return `${digits.slice(0, -2)}.${digits.slice(-2)}`;
}
