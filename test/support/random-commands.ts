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

/** The command that a wish stands for, at a time in ms since 1970, where the account's holds were made at `holds`. */
export function commandFor(wish: Wish, now: number, holds: readonly number[]): AccountCommand {
  const words = { operation: 'chat', appId: null, personal: null };
  // Where there is no hold yet, one that never was.
  const reservation = (place: number) => holds[holds.length === 0 ? 0 : place % holds.length] ?? 7;
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
