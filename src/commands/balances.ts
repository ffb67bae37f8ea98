import type { AccountEvent, Balances, LotAmounts } from '../events/account-events.ts';
import { MAX_TOTAL, type Micro, minus, plus, ZERO } from '../events/amounts.ts';
import { sumOfLots } from '../events/lot-changes.ts';
import { type Account, holdsAfter, type Movement, nextDue, type OpenAccount } from './account.ts';
import { type Decided, reject } from './decider.ts';
import { cover, lotsAfter } from './lots.ts';

/** The balances of an account that nobody opened. */
const NOTHING: Balances = {
  available: ZERO,
  debt: ZERO,
  dueAt: null,
  earned: ZERO,
  frozen: ZERO,
  reserved: ZERO,
  spent: ZERO,
};

/** What an account shows: zeros where it was never opened. */
export function balancesOf(account: Account): Balances {
  return account.status === 'open' ? account.balances : NOTHING;
}

/** An event with the balances after it, worked out from what it does to lots and holds. What it brings pays debt first. */
export function withBalances(
  account: OpenAccount,
  movement: Movement,
  links: Pick<Decided, 'about' | 'claims'> = {},
): Decided<AccountEvent> {
  const paid = debtPaid(account, movement);
  // In canonical order, like every movement's data, which spares sorting. The type system can't see that adding to a
  // movement of a type makes an event of that type.
  const data = paid === undefined ? movement.data : { ...movement.data, debtPaid: paid };
  const after = balancesAfter(account, { type: movement.type, data } as Movement);
  return { type: movement.type, data: { after, ...data }, about: links.about, claims: links.claims } as Decided<AccountEvent>;
}

/** What pays debt, of what a movement brings, where it doesn't say so itself; undefined where nothing is owed, as almost always. */
function debtPaid({ balances, lots, revision }: OpenAccount, movement: Movement): LotAmounts | undefined {
  if (balances.debt === 0 || ('debtPaid' in movement.data && movement.data.debtPaid !== undefined)) return undefined;
  // Whoever owes has nothing to spend: what can be spent now is what the movement brings.
  const paid = cover(lotsAfter(lots, movement, revision + 1), balances.debt);
  return paid.length === 0 ? undefined : paid;
}

function balancesAfter(account: OpenAccount, movement: Movement): Balances {
  const revision = account.revision + 1;
  const lots = lotsAfter(account.lots, movement, revision);
  // Which app makes it shows in no sum and no due time.
  const holds = holdsAfter(account.holds, movement, { revision, app: '' });
  const { debt, earned, spent } = account.balances;
  let available = ZERO;
  let frozen = ZERO;
  let reserved = ZERO;
  for (const lot of lots) {
    if (lot.frozen) frozen = plus(frozen, lot.free);
    else available = plus(available, lot.free);
    reserved = plus(reserved, lot.held);
  }
  const due = nextDue(lots, holds);
  return {
    available,
    debt: debtAfter(debt, movement),
    dueAt: due === null ? null : new Date(due).toISOString(),
    earned: movement.type === 'CreditsGranted' ? plus(earned, movement.data.amount) : earned,
    frozen,
    reserved,
    spent: spentAfter(spent, movement),
  };
}

function debtAfter(debt: Micro, { type, data }: Movement): Micro {
  const owed = type === 'GrantRevoked' ? plus(debt, data.debt) : debt;
  return 'debtPaid' in data && data.debtPaid !== undefined ? minus(owed, sumOfLots(data.debtPaid)) : owed;
}

function spentAfter(spent: Micro, { type, data }: Movement): Micro {
  if (type === 'CreditsConsumed') return plus(spent, data.amount);
  return type === 'CreditsRefunded' ? minus(spent, data.amount) : spent;
}

/** The event that opens an account, and the account as it then stands. */
export function opening(): { event: Decided<AccountEvent>; account: OpenAccount } {
  return {
    event: { type: 'AccountOpened', data: { after: NOTHING } },
    account: { status: 'open', revision: 0, balances: NOTHING, lots: [], holds: [], freeUsed: [], signedUp: false },
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
