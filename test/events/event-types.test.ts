import { expect, test } from 'vitest';
import { accountSchemas } from '../../src/events/account-events.ts';
import { canonicalJson, type Json } from '../../src/events/canonical.ts';
import { catalogueSchemas } from '../../src/events/catalogue-events.ts';
import { eventHash, eventId } from '../../src/events/chain.ts';
import { readEvent, schemaVersion, type StoredEvent, UnreadableEventError } from '../../src/events/event-types.ts';
import { eventFixture, fixtureNames } from '../support/event-fixtures.ts';

const TYPES = [...Object.keys(accountSchemas), ...Object.keys(catalogueSchemas)];

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
