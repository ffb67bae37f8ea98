import { CATALOGUE_STREAM } from '../../src/events/catalogue-events.ts';
import { credits, type Hold, must, type SoakAccount } from './accounts.ts';
import { APP, type Draft, WATCHED } from './draft.ts';
import { goodwill, grant, grantAgain, init, refund } from './inflows.ts';
import { type Asked, commit, release, reserve, settleOfAnother, use } from './outflows.ts';
import type { Random } from './random.ts';

/* What a client does next, drawn by its seed. */

/** Something for a client to do: a command, several in one request, or a look at an account. */
export type Work =
  | { readonly kind: 'one'; readonly draft: Draft }
  | { readonly kind: 'batch' | 'atomic'; readonly drafts: readonly Draft[] }
  | { readonly kind: 'validate' | 'balance'; readonly account: SoakAccount };

/** Whom a client sends commands for: accounts of its own, and those that all share, a few of them hot. */
export type Reach = {
  readonly own: readonly SoakAccount[];
  readonly hot: readonly SoakAccount[];
  readonly shared: readonly SoakAccount[];
  /** One that nobody has heard of, and that is left alone afterwards: whose events are passed over stays behind. */
  readonly newcomer: (name: string) => SoakAccount;
};

const KINDS = [
  { kind: 'one', weight: 80 },
  { kind: 'batch', weight: 5 },
  { kind: 'atomic', weight: 5 },
  { kind: 'validate', weight: 4 },
  { kind: 'balance', weight: 4 },
  { kind: 'newcomer', weight: 4 },
  { kind: 'catalogue', weight: 1 },
] as const;

const WISHES = [
  { wish: 'init', weight: 2 },
  { wish: 'grant', weight: 9 },
  { wish: 'grant again', weight: 2 },
  { wish: 'goodwill', weight: 2 },
  { wish: 'use', weight: 24 },
  { wish: 'charge', weight: 10 },
  { wish: 'reserve', weight: 20 },
  { wish: 'settle', weight: 22 },
  { wish: 'refund', weight: 10 },
  { wish: 'settle of another', weight: 1 },
] as const;

/** Draws a client's next piece of work. `name` tells it from all others. */
export function nextWork(reach: Reach, random: Random, name: string): Work {
  const { kind } = random.weighted(KINDS);
  switch (kind) {
    case 'one':
      return { kind, draft: nextDraft(someone(reach, random), random, { name }) };
    case 'batch': {
      const drafts = Array.from({ length: random.between(2, 8) }, (_, place) =>
        nextDraft(someone({ ...reach, own: reach.shared }, random), random, { name: `${name}.${place}`, among: true }),
      );
      return { kind, drafts };
    }
    case 'atomic': {
      const account = someone(reach, random);
      const drafts = Array.from({ length: random.between(2, 4) }, (_, place) =>
        nextDraft(account, random, { name: `${name}.${place}`, among: true }),
      );
      return { kind, drafts };
    }
    case 'validate':
    case 'balance':
      return { kind, account: someone(reach, random) };
    case 'newcomer':
      return { kind: 'one', draft: grant(reach.newcomer(name), random, name) };
    case 'catalogue':
      return { kind: 'one', draft: catalogueChange(random) };
    default:
      return kind satisfies never;
  }
}

function someone({ own, hot, shared }: Reach, random: Random): SoakAccount {
  return random.pick(random.pick([own, hot, shared]));
}

/** `among`: together with others in a batch, in which what one names no other may, and which opens no account. */
function nextDraft(
  account: SoakAccount,
  random: Random,
  { name, among = false }: { readonly name: string; readonly among?: boolean },
): Draft {
  // From an account that has nothing nothing can be had.
  const { wish } = account.sum === 0 && random.chance(0.7) ? { wish: 'grant' as const } : random.weighted(WISHES);
  switch (wish) {
    case 'init':
      return among ? grant(account, random, name) : init(account);
    case 'grant':
      return grant(account, random, name);
    case 'grant again':
      return (among ? undefined : grantAgain(account, random)) ?? grant(account, random, name);
    case 'goodwill':
      return goodwill(account, random);
    case 'use':
    case 'charge': {
      const app = account.exact === undefined && random.chance(0.2) ? WATCHED : APP;
      return use(account, wish === 'use' ? amountOf(random) : unitsOf(random), app === WATCHED && among ? APP : app);
    }
    case 'reserve':
      return reserve(account, random.chance(0.8) ? amountOf(random) : unitsOf(random), random);
    case 'settle':
      return settle(account, random, among) ?? reserve(account, amountOf(random), random);
    case 'refund':
      return refundOf(account, random) ?? use(account, amountOf(random), APP);
    case 'settle of another': {
      const [hold] = account.holds;
      return among || hold === undefined ? use(account, amountOf(random), APP) : settleOfAnother(account, hold);
    }
    default:
      return wish satisfies never;
  }
}

/** Mostly a little, now and then more than anybody has. */
function amountOf(random: Random): Asked {
  return { amount: random.chance(0.02) ? 1_000_000_000_000 : random.between(1, 3_000_000) };
}

const OPERATIONS = [
  { operation: 'chat', per: 1, free: { uses: 5, period: 'day' } },
  { operation: 'paint', per: 10, free: null },
  { operation: 'translate', per: 1_000, free: { uses: 2, period: 'lifetime' } },
] as const;

function unitsOf(random: Random): Asked {
  const { operation, per } = random.pick(OPERATIONS);
  return { operation, quantity: random.between(1, 3 * per) };
}

/** Settles a hold; where several may, one that others settle as well. */
function settle(account: SoakAccount, random: Random, among: boolean): Draft | undefined {
  const at = random.below(Math.max(account.holds.length, 1));
  const hold = account.holds[at];
  if (hold === undefined) return undefined;
  if (among || account.exact !== undefined || random.chance(0.9)) account.holds.splice(at, 1);
  hold.named += 1;
  if (random.chance(0.3)) return release(account, hold);
  return commit(account, hold, takenOf(hold, random), random.chance(0.2) ? 'refuse' : 'available');
}

/** What a commit takes of a hold: all of it, said or not, less or more. In micro-credits. */
function takenOf({ amount }: Hold, random: Random): number | undefined {
  if (random.chance(0.5)) return undefined;
  return random.pick([amount, random.between(0, amount), amount + random.between(1, 2_000_000)]);
}

function refundOf(account: SoakAccount, random: Random): Draft | undefined {
  const at = random.below(Math.max(account.uses.length, 1));
  const [used] = account.uses.splice(at, 1);
  if (used === undefined) return undefined;
  if (used.left === 0) return refund(account, used, 0);
  return refund(account, used, random.pick([used.left, random.between(1, used.left), used.left + 1]));
}

/** What the catalogue is before the first command: a price for every operation, for each app. */
export function firstPrices(): readonly Draft[] {
  return [APP, WATCHED].flatMap((app) => OPERATIONS.map((one) => price(app, one, 250_000)));
}

function price(app: string, { operation, per, free }: (typeof OPERATIONS)[number], cost: number): Draft {
  return change(`operations/${app}/${operation}`, { cost: credits(cost), per, free });
}

function catalogueChange(random: Random): Draft {
  if (random.chance(0.3)) return change(`apps/${WATCHED}/mode`, { mode: random.pick(['observe', 'enforce']) });
  if (random.chance(0.2)) {
    const body = {
      name: `Package ${random.below(5)}`,
      credits: random.between(1, 500),
      priceEuroCents: random.between(1, 9_999),
    };
    return change(`packages/p${random.below(3)}`, body);
  }
  return price(random.pick([APP, WATCHED]), random.pick(OPERATIONS), random.between(0, 900_000));
}

function change(path: string, body: Draft['body']): Draft {
  return {
    kind: 'catalogue',
    stream: CATALOGUE_STREAM,
    app: APP,
    method: 'PUT',
    path: `/api/v1/catalogue/${path}`,
    body,
    type: undefined,
    // What stands already is not written again.
    accepted: () => 'either',
    refused: (status) => must(false, `the catalogue refused ${path} with ${status}`),
    undone: () => undefined,
  };
}
