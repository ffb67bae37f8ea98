import fc from 'fast-check';
import type { AccountCommand } from '../../src/commands/account-decider.ts';
import { micro } from '../../src/events/amounts.ts';
import { canonicalJson, type Json } from '../../src/events/canonical.ts';
import { keyClaim } from '../../src/events/claims.ts';
import type { RequestHashes } from '../../src/events/request-hash.ts';
import type { Envelope } from '../../src/commands/write-path/envelope.ts';

/*
 * Random commands for the property tests. A command on a hold names it by its place among those made so far, since its
 * revision is known only when it is there.
 */

export type Wish =
  | { readonly kind: 'open'; readonly signup: number }
  | {
      readonly kind: 'grant';
      readonly amount: number;
      readonly reference: number;
      readonly priority: number;
      readonly lasts: number | null;
    }
  | { readonly kind: 'reserve'; readonly amount: number; readonly ttl: number }
  | { readonly kind: 'use'; readonly amount: number }
  | { readonly kind: 'commit'; readonly nth: number; readonly amount: number | null; readonly onExpired: 'available' | 'refuse' }
  | { readonly kind: 'release'; readonly nth: number }
  | { readonly kind: 'refund'; readonly nth: number; readonly amount: number }
  | { readonly kind: 'debit'; readonly amount: number; readonly reference: number }
  | { readonly kind: 'freeze' | 'unfreeze'; readonly nth: number }
  | { readonly kind: 'revoke'; readonly nth: number; readonly amount: number | null }
  | { readonly kind: 'expire' };

/** A wish, whose it is and under which key. Few keys and two apps, so that both are used again and by others. */
export type Asked = { readonly wish: Wish; readonly app: 'chat' | 'image'; readonly key: string | null };

const amount = fc.oneof(fc.integer({ min: 1, max: 30 }), fc.constantFrom(1, 10, 100, 1_000_000));
const nth = fc.nat(12);
const minutes = fc.integer({ min: 1, max: 40 }).map((count) => count * 60_000);

export const wishes: fc.Arbitrary<Wish> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('open'), signup: fc.constantFrom(0, 15) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('grant'),
      amount,
      reference: fc.nat(30),
      priority: fc.constantFrom(1, 10, 50, 50, 100),
      lasts: fc.option(minutes, { nil: null }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('reserve'), amount, ttl: minutes }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('use'), amount }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('commit'),
      nth,
      amount: fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 40 })),
      onExpired: fc.constantFrom('available', 'refuse'),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('release'), nth }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('refund'), nth, amount: fc.integer({ min: 1, max: 25 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('debit'), amount, reference: fc.nat(8) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('freeze', 'unfreeze'), nth: fc.nat(5) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('revoke'),
      nth: fc.nat(5),
      amount: fc.option(fc.integer({ min: 1, max: 20 }), { nil: null }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire') }) },
);

export const askeds: fc.Arbitrary<Asked> = fc.record({
  wish: wishes,
  app: fc.constantFrom('chat', 'chat', 'chat', 'image'),
  key: fc.option(
    fc.nat(40).map((count) => `key-${count}`),
    { nil: null },
  ),
});

const few = fc.integer({ min: 1, max: 12 });
const recent = fc.nat(3);

/** Small amounts and many disputes, so that accounts come to owe, and what is held and used belongs to frozen grants. */
const disputes: fc.Arbitrary<Wish> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('grant'),
      amount: fc.integer({ min: 5, max: 25 }),
      reference: fc.nat(50),
      priority: fc.constantFrom(10, 50),
      lasts: fc.option(minutes, { nil: null }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('reserve'), amount: few, ttl: minutes }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('use'), amount: few }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('commit'),
      nth: recent,
      amount: fc.integer({ min: 0, max: 6 }),
      onExpired: fc.constant('available'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release'), nth: recent }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('refund'), nth: recent, amount: few }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constantFrom('freeze', 'unfreeze'), nth: recent }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('revoke'), nth: recent, amount: fc.option(few, { nil: null }) }) },
);

export const disputedAskeds: fc.Arbitrary<Asked> = fc.record({
  wish: disputes,
  app: fc.constant('chat'),
  key: fc.constant(null),
});

/** The revisions at which holds, consumptions and lots were made. */
export type Places = { readonly holds: readonly number[]; readonly uses: readonly number[]; readonly lots: readonly number[] };

/** What commands can name of some events. A refund is named as a lot whether it made one or not. */
export function placesOf(events: readonly { readonly type: string; readonly revision: number }[]): Places {
  const of = (...types: readonly string[]) => events.filter(({ type }) => types.includes(type)).map(({ revision }) => revision);
  return { holds: of('CreditsReserved'), uses: of('CreditsConsumed'), lots: of('CreditsGranted', 'CreditsRefunded') };
}

/** The command that a wish stands for, at a time in ms since 1970. */
export function commandFor(wish: Wish, now: number, places: Places): AccountCommand {
  const words = { operation: 'chat', appId: null, personal: null };
  // Counted from the last one; where there is none yet, one that never was.
  const at = (among: readonly number[], place: number) => among.at(-1 - (place % Math.max(among.length, 1))) ?? 7;
  const reservation = (place: number) => at(places.holds, place);
  switch (wish.kind) {
    case 'open':
      return { type: 'OpenAccount', signupGrant: micro(wish.signup) };
    case 'grant': {
      const { priority, lasts, reference } = wish;
      const expiresAt = lasts === null ? null : now + lasts;
      const once = { source: 'promo', reason: 'test', reference: `r${reference}` } as const;
      return { type: 'GrantCredits', amount: micro(wish.amount), ...once, priority, expiresAt, appId: null, personal: null };
    }
    case 'reserve':
      return { type: 'ReserveCredits', amount: micro(wish.amount), ttl: wish.ttl, ...words };
    case 'use':
      return { type: 'UseCredits', amount: micro(wish.amount), ...words };
    case 'commit': {
      const { onExpired } = wish;
      const taken = wish.amount === null ? null : micro(wish.amount);
      return { type: 'CommitReservation', reservation: reservation(wish.nth), amount: taken, onExpired, personal: null };
    }
    case 'release':
      return { type: 'ReleaseReservation', reservation: reservation(wish.nth), personal: null };
    case 'refund': {
      const consumption = at(places.uses, wish.nth);
      return { type: 'RefundConsumption', consumption, amount: micro(wish.amount), appId: null, personal: null };
    }
    case 'debit': {
      const once = { reason: 'gift_created', reference: `g${wish.reference}` } as const;
      return { type: 'DebitCredits', amount: micro(wish.amount), ...once, appId: null, personal: null };
    }
    case 'freeze':
      return { type: 'FreezeGrant', grant: at(places.lots, wish.nth), reference: 'dispute' };
    case 'unfreeze':
      return { type: 'UnfreezeGrant', grant: at(places.lots, wish.nth), reference: 'dispute' };
    case 'revoke': {
      const amountBack = wish.amount === null ? null : micro(wish.amount);
      return { type: 'RevokeGrant', grant: at(places.lots, wish.nth), amount: amountBack, reference: 'dispute' };
    }
    case 'expire':
      return { type: 'ExpireDue' };
    default:
      return wish satisfies never;
  }
}

/** A command on its way, as the API would send it. */
export function envelopeOf<Command extends { readonly type: string }>(
  stream: string,
  command: Command,
  { app, key, commandId, body = command }: { app: string; key: string | null; commandId: string; body?: Json },
): Envelope<Command> {
  return {
    stream,
    command,
    actor: { kind: 'service', app, key: 'k1' },
    key: key === null ? null : { value: key, claim: keyClaim(`app:${app}`, key), request: { type: command.type, body } },
    commandId,
    correlationId: commandId,
    causationId: null,
  };
}

/** Hashes of requests that can be read, for tests that have no database. */
export const plainHashes: RequestHashes = {
  of: ({ type, body }) => `1.${canonicalJson([type, body])}`,
  matches: (stored, { type, body }) => stored === `1.${canonicalJson([type, body])}`,
};
