import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accountSchemas } from '../../src/events/account-events.ts';
import { readEvent, type Recorded } from '../../src/events/event-types.ts';
import { legsOf } from '../../src/events/legs.ts';
import { type AboutLots, availableChange, lotChanges } from '../../src/events/lot-changes.ts';
import { opened, type Sample } from '../support/account-samples.ts';
import { anyMovement } from '../support/any-movement.ts';
import { eventFixture, fixtureNames } from '../support/event-fixtures.ts';
import { readAccountEvent } from '../support/read-account-event.ts';

/* Lots, balances and legs each tell what an event moves; here they are held against one another. */

const HERE = 'account-u1';

function recorded({ type, data }: Sample): Recorded {
  const { metadata, ...stored } = readEvent(eventFixture('AccountOpened.v1'));
  const actor = { kind: 'service', app: 'writer', key: 'k1' } as const;
  return { ...stored, stream: HERE, type, data, metadata: { ...metadata, actor } } as unknown as Recorded;
}

/** What an event moves by its legs: into each account of the stream's own, and all that goes elsewhere. */
function byLegs(event: Recorded) {
  const moved = { available: 0, reserved: 0, frozen: 0, debt: 0, elsewhere: 0 };
  for (const { account, amount } of legsOf(event)) {
    const name = account.endsWith(`:${event.stream}`) ? account.slice(0, -event.stream.length - 1) : 'elsewhere';
    moved[name as keyof typeof moved] += amount;
  }
  return moved;
}

/** What an event moves by its lots: all that no hold keeps, frozen or not, and what holds keep. */
function byLots(event: AboutLots) {
  let free = event.type === 'CreditsGranted' ? event.data.amount : 0;
  if (event.type === 'CreditsRefunded') free += event.data.fresh?.amount ?? 0;
  let held = 0;
  for (const [amounts, toFree, toHeld] of lotChanges(event)) {
    for (const [, amount] of amounts) {
      free += amount * toFree;
      held += amount * toHeld;
    }
  }
  return { free, held };
}

function expectAgreement(event: AboutLots, stored: Recorded): void {
  const legs = byLegs(stored);
  expect(availableChange(event)).toBe(legs.available);
  expect(availableChange(event)).toBe(0 - legs.reserved - legs.frozen - legs.debt - legs.elsewhere);
  expect(byLots(event)).toEqual({ free: legs.available + legs.frozen, held: legs.reserved });
}

test('whatever an event touches, its lots move what its legs do', () => {
  const types = new Set<string>(['AccountOpened']);
  fc.assert(
    fc.property(anyMovement, (sample) => {
      types.add(sample.type);
      expectAgreement(sample, recorded(sample));
    }),
    { numRuns: 1_000 },
  );
  expect([...types].sort()).toEqual(Object.keys(accountSchemas).sort());
});

const STORED = fixtureNames().filter((name) => Object.hasOwn(accountSchemas, name.split('.')[0] ?? ''));

test.each(STORED)('the lots of a stored %s move what its legs do', (name) => {
  const event = readAccountEvent(eventFixture(name));
  expectAgreement(event, event);
});

test('opening an account moves nothing', () => {
  expect(availableChange(opened())).toBe(0);
  expect(lotChanges(opened())).toEqual([]);
});
