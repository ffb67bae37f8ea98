import type { AccountEvent, Balances } from '../events/account-events.ts';
import { MAX_TOTAL, type Micro, plus, ZERO } from '../events/amounts.ts';
import { type Account, type Movement, move, nextDue, type OpenAccount } from './account.ts';
import { type Decided, reject } from './decider.ts';

/** The balances of an account that nobody opened. */
const NOTHING: Balances = { available: ZERO, reserved: ZERO, debt: ZERO, earned: ZERO, spent: ZERO, dueAt: null };

/** What an account shows: zeros where it was never opened. */
export function balancesOf(account: Account): Balances {
  return account.status === 'open' ? account.balances : NOTHING;
}

/** An event with the balances after it, worked out from what it does to lots and holds. */
export function withBalances(
  account: OpenAccount,
  movement: Movement,
  links: Pick<Decided, 'about' | 'claims'> = {},
): Decided<AccountEvent> {
  const { debt, earned, spent } = account.balances;
  // Neither the revision nor the app of what is new shows in a sum or a due time.
  const parts = move(account, movement, { revision: Number.MAX_SAFE_INTEGER, app: '' });
  let available = ZERO;
  let reserved = ZERO;
  for (const lot of parts.lots) {
    available = plus(available, lot.available);
    reserved = plus(reserved, lot.held);
  }
  const due = nextDue(parts);
  const after: Balances = {
    available,
    debt,
    dueAt: due === null ? null : new Date(due).toISOString(),
    earned: movement.type === 'CreditsGranted' ? plus(earned, movement.data.amount) : earned,
    reserved,
    spent: movement.type === 'CreditsConsumed' ? plus(spent, movement.data.amount) : spent,
  };
  // In canonical order, like every movement's data, which spares sorting. The type system can't see that adding `after`
  // to a movement of a type makes an event of that type.
  return {
    type: movement.type,
    data: { after, ...movement.data },
    about: links.about,
    claims: links.claims,
  } as Decided<AccountEvent>;
}

/** The event that opens an account, and the account as it then stands. */
export function opening(): { event: Decided<AccountEvent>; account: OpenAccount } {
  return {
    event: { type: 'AccountOpened', data: { after: NOTHING } },
    account: { status: 'open', balances: NOTHING, lots: [], holds: [], signedUp: false },
  };
}

/** Whether a sum stays within what crosses the wire exactly. */
export function withinTotal(total: Micro, amount: Micro): boolean {
  return total + amount <= MAX_TOTAL;
}

/** Refuses what would lift a balance or a lifetime total too high. */
export function tooHigh(limit: 'balance' | 'totalEarned' | 'totalSpent') {
  return reject({ code: 'limit_exceeded', limit, maximum: MAX_TOTAL });
}
