import { expect, test } from 'vitest';
import { accountDecider } from '../../src/commands/account-decider.ts';
import { type Account, evolve, type Hold } from '../../src/commands/account.ts';
import { balancesOf } from '../../src/commands/balances.ts';
import type { Lot } from '../../src/commands/lots.ts';
import { accountSchemas } from '../../src/events/account-events.ts';
import { micro } from '../../src/events/amounts.ts';
import { canonicalJson, type Json } from '../../src/events/canonical.ts';
import { eventHash, eventId } from '../../src/events/chain.ts';
import { readEvent, schemaVersion, type StoredEvent, UnreadableEventError } from '../../src/events/event-types.ts';
import { eventFixture, fixtureNames } from '../support/event-fixtures.ts';
import { readAccountEvent } from '../support/read-account-event.ts';
import { expectSound } from '../support/sound-event.ts';

const TYPES = Object.keys(accountSchemas);

test('there is a fixture for every version of every type ever written, and for no other', () => {
  const versionsOf = (type: string) => Array.from({ length: schemaVersion(type) }, (_, index) => `${type}.v${index + 1}`);
  expect([...fixtureNames()].sort()).toEqual(TYPES.flatMap(versionsOf).sort());
});

test.each(fixtureNames())('%s still loads, to the letter', (name) => {
  const stored = eventFixture(name);
  const event = readEvent(stored);
  const { stream, revision, type, id, hash } = stored;
  expect(event).toMatchObject({ stream, revision, type, id, hash });
  expect(`${type}.v${event.metadata.schema}`).toBe(name);
  // What this version of the schema reads is all that was written: no field is dropped on the way.
  if (event.metadata.schema === schemaVersion(type)) expect(canonicalJson(event.data as Json)).toBe(stored.data);
  expect(canonicalJson(event.metadata)).toBe(stored.metadata);
});

test.each(fixtureNames())('%s keeps its hash and the id made from it', (name) => {
  const stored = eventFixture(name);
  expect(eventHash(stored).toString('hex')).toBe(stored.hash.toString('hex'));
  expect(eventId(stored.hash)).toBe(stored.id);
});

test('a change of anything in a stored event changes its hash', () => {
  const stored = eventFixture('CreditsConsumed.v1');
  const changed: readonly StoredEvent[] = [
    { ...stored, stream: 'account-other' },
    { ...stored, revision: stored.revision + 1 },
    { ...stored, type: 'CreditsReserved' },
    { ...stored, data: stored.data.replace('20250000', '20250001') },
    { ...stored, metadata: stored.metadata.replace('order-8', 'order-9') },
  ];
  const hashes = new Set(changed.map((event) => eventHash(event).toString('hex')));
  expect(hashes.size).toBe(changed.length);
  expect(hashes.has(stored.hash.toString('hex'))).toBe(false);
});

const ENDS = { hold3: '2026-11-02T10:17:30.120Z', hold6: '2026-11-02T09:45:30.120Z', hold9: '2026-11-02T10:29:30.120Z' };
const lot1 = { revision: 1, priority: 10, expiresAt: Date.parse('2026-11-02T09:35:30.120Z') };
const lot2 = { revision: 2, priority: 50, expiresAt: null };
const lot4 = { revision: 4, priority: 20, expiresAt: Date.parse('2026-11-02T09:55:30.120Z') };
const lot10 = { ...lot4, revision: 10, priority: 30 };

function lot(base: Pick<Lot, 'revision' | 'priority' | 'expiresAt'>, available: number, held: number): Lot {
  return { ...base, free: micro(available), held: micro(held), frozen: false };
}

function hold(revision: number, ends: string, ...lots: readonly (readonly [number, number])[]): Hold {
  const parts = lots.map(([of, amount]): [number, ReturnType<typeof micro>] => [of, micro(amount)]);
  const amount = micro(lots.reduce((sum, [, part]) => sum + part, 0));
  return { revision, amount, lots: parts, app: 'studio', operation: 'image', appId: 'studio', expiresAt: Date.parse(ends) };
}

function account(lots: readonly Lot[], holds: readonly Hold[], earned = 0, spent = 0): Account {
  const available = micro(lots.reduce((sum, one) => sum + one.free, 0));
  const reserved = micro(lots.reduce((sum, one) => sum + one.held, 0));
  const balances = {
    available,
    reserved,
    debt: micro(0),
    frozen: micro(0),
    earned: micro(earned),
    spent: micro(spent),
    dueAt: null,
  };
  return { status: 'open', balances, lots, holds, freeUsed: [], signedUp: false };
}

const HOLD3 = { ...hold(3, ENDS.hold3, [1, 25_000_000], [2, 15_500_000]), operation: 'chat' };
const HOLD6 = hold(6, ENDS.hold6, [2, 3_000_000]);
const HOLD9 = hold(9, ENDS.hold9, [4, 10_000_000], [2, 1_000_000]);
const HOLD11 = hold(11, '2026-11-02T09:51:30.120Z', [10, 1_500_000], [2, 500_000]);

/** The account before each stored event, and the lots and holds behind it. */
const AROUND: { readonly [type: string]: { before: Account; lots: readonly Lot[]; holds: readonly Hold[] } } = {
  AccountOpened: { before: accountDecider.initialState, lots: [], holds: [] },
  CreditsGranted: { before: account([], []), lots: [lot(lot1, 25_000_000, 0)], holds: [] },
  CreditsReserved: {
    before: account([lot(lot1, 25_000_000, 0), lot(lot2, 100_000_000, 0)], [], 125_000_000),
    lots: [lot(lot1, 0, 25_000_000), lot(lot2, 84_500_000, 15_500_000)],
    holds: [HOLD3],
  },
  CreditsConsumed: {
    before: account(
      [lot(lot1, 0, 25_000_000), lot(lot4, 10_000_000, 0), lot(lot2, 81_500_000, 18_500_000)],
      [HOLD3, HOLD6],
      135_000_000,
    ),
    lots: [lot(lot4, 10_000_000, 0), lot(lot2, 97_000_000, 3_000_000)],
    holds: [HOLD6],
  },
  Expired: {
    before: account(
      [lot(lot4, 0, 10_000_000), lot(lot10, 0, 1_500_000), lot(lot2, 95_500_000, 4_500_000)],
      [HOLD6, HOLD9, HOLD11],
      136_500_000,
      20_250_000,
    ),
    lots: [lot(lot4, 0, 10_000_000), lot(lot2, 99_000_000, 1_000_000)],
    holds: [HOLD9],
  },
  ReservationReleased: {
    before: account([lot(lot4, 0, 10_000_000), lot(lot2, 99_000_000, 1_000_000)], [HOLD9], 136_500_000, 20_250_000),
    lots: [lot(lot2, 100_000_000, 0)],
    holds: [],
  },
};

test.each(fixtureNames())('%s still evolves an account as it did', (name) => {
  const event = readAccountEvent(eventFixture(name));
  const around = AROUND[event.type];
  if (around === undefined) throw new Error(`say what ${event.type} does to an account`);
  const after = evolve(around.before, event);
  expectSound(event, balancesOf(around.before), after);
  expect(after).toMatchObject({ status: 'open', balances: event.data.after, lots: around.lots, holds: around.holds });
});

const STORED = eventFixture('CreditsReserved.v1');
const data = JSON.parse(STORED.data) as { readonly [key: string]: Json };
const metadata = JSON.parse(STORED.metadata) as { readonly [key: string]: Json };

test.each<[string, Partial<StoredEvent>]>([
  ['an unknown type', { type: 'CreditsTeleported' }],
  ['a type that every object has', { type: 'constructor' }],
  ['a newer version of the schema', { metadata: canonicalJson({ ...metadata, schema: schemaVersion('CreditsReserved') + 1 }) }],
  ['no version of the schema', { metadata: canonicalJson({ ...metadata, schema: 0 }) }],
  ['data that is no JSON', { data: STORED.data.slice(0, -1) }],
  ['no data', { data: '' }],
  ['metadata that is no JSON', { metadata: `${STORED.metadata}}` }],
  ['data of another type', { data: canonicalJson({ after: data['after'] ?? null }) }],
  ['data that is no object', { data: 'null' }],
  ['a negative amount', { data: canonicalJson({ ...data, amount: -1 }) }],
  ['a fraction of a micro-credit', { data: canonicalJson({ ...data, amount: 0.5 }) }],
  ['an amount beyond what a number holds', { data: canonicalJson({ ...data, amount: 2 ** 53 }) }],
  ['an amount in words', { data: canonicalJson({ ...data, amount: '1' }) }],
  ['a time that is none', { data: canonicalJson({ ...data, expiresAt: 'soon' }) }],
  ['metadata without an actor', { metadata: canonicalJson({ ...metadata, actor: undefined }) }],
])('an event with %s is never passed over, and named', (_, change) => {
  const read = () => readEvent({ ...STORED, ...change });
  expect(read).toThrow(UnreadableEventError);
  expect(read).toThrow(`${STORED.stream}@${STORED.revision}`);
});

test('a balance below zero is no balance', () => {
  const after = { ...(data['after'] as object), available: -1 };
  expect(() => readEvent({ ...STORED, data: canonicalJson({ ...data, after }) })).toThrow(UnreadableEventError);
});
