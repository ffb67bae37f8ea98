import { expect, test } from 'vitest';
import type { AccountCommand } from '../../../src/commands/account-decider.ts';
import type { Metadata } from '../../../src/events/metadata.ts';
import { commit, credits, grant, minute, reserve, START, use } from '../../support/account-samples.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { envelopeOf } from '../../support/random-commands.ts';

/** What one batch makes of commands that come together. */
type Asked = readonly [command: AccountCommand, key?: string | null, app?: string];

let calls = 0;

function together(log: MemoryLog, now: number, ...asked: readonly Asked[]) {
  const envelopes = asked.map(([command, key = null, app = 'writer']) => {
    calls += 1;
    return envelopeOf('account-u1', command, { app, key, commandId: `call-${calls}` });
  });
  return log.run(envelopes, now);
}

/** An account with ten credits, of which event 2 holds four until minute 15. */
function held(): MemoryLog {
  const log = new MemoryLog();
  together(log, START, [grant({ amount: credits(10) })], [reserve({ amount: credits(4) })]);
  return log;
}

test('a hold that is settled twice in one batch is settled once', () => {
  const log = held();
  expect(together(log, START, [commit(2)], [commit(2)], [commit(2, credits(1))])).toMatchObject([
    { kind: 'accepted', event: { revision: 3 }, replayed: false },
    { kind: 'accepted', event: { revision: 3 }, replayed: true },
    { kind: 'rejected', rejection: { code: 'reservation_already_resolved', resolution: { transaction: { revision: 3 } } } },
  ]);
  expect(log.events).toHaveLength(4);
});

test('a hold that runs out as it is settled is settled late', () => {
  const log = held();
  const outcomes = together(log, minute(15), [commit(2, null, 'refuse')], [commit(2)]);
  expect(outcomes).toMatchObject([
    { kind: 'rejected', rejection: { code: 'reservation_expired' } },
    { kind: 'accepted', event: { revision: 4, data: { fromAvailable: [[1, credits(4)]] } } },
  ]);
  expect(log.events.map(({ type }) => type).slice(3)).toEqual(['Expired', 'CreditsConsumed']);
});

test('a hold that is named before it is there, and settled in the same batch, is no stranger afterwards', () => {
  const log = new MemoryLog();
  together(log, START, [grant({ amount: credits(10) })]);
  const outcomes = together(
    log,
    START,
    [reserve({ amount: credits(4) })],
    [commit(2)],
    [commit(2)],
    [commit(2), null, 'another'],
  );
  expect(outcomes).toMatchObject([
    { kind: 'accepted', event: { revision: 2 } },
    { kind: 'accepted', event: { revision: 3 }, replayed: false },
    { kind: 'accepted', event: { revision: 3 }, replayed: true },
    { kind: 'rejected', rejection: { code: 'reservation_of_another_app' } },
  ]);
});

test('a key that comes twice in one batch is answered by one event', () => {
  const log = held();
  expect(together(log, START, [use(credits(2)), 'k'], [use(credits(2)), 'k'], [use(credits(3)), 'k'])).toMatchObject([
    { kind: 'accepted', event: { revision: 3 }, replayed: false },
    { kind: 'accepted', event: { revision: 3 }, replayed: true },
    { kind: 'rejected', rejection: { code: 'idempotency_conflict' } },
  ]);
});

test('a key that was refused is free for the next one in the same batch', () => {
  const log = held();
  expect(
    together(log, START, [use(credits(7)), 'k'], [grant({ amount: credits(5), reference: 'r2' })], [use(credits(7)), 'k']),
  ).toMatchObject([
    { kind: 'rejected', rejection: { available: credits(6) } },
    { kind: 'accepted', event: { revision: 3 } },
    { kind: 'accepted', event: { revision: 4 }, replayed: false },
  ]);
});

test('what has run out is written by the system though every command is refused', () => {
  const log = held();
  expect(together(log, minute(20), [use(credits(11)), 'k'])).toMatchObject([
    { kind: 'rejected', rejection: { available: credits(10) } },
  ]);
  const last = log.events.at(-1);
  const metadata = JSON.parse(last?.metadata ?? '') as Metadata;
  expect(last?.type).toBe('Expired');
  expect(metadata).toMatchObject({ about: [2], actor: { kind: 'system' }, claims: [], idempotencyKey: null, requestHash: null });
  expect(metadata.commandId).not.toBe(`call-${calls}`);
  expect(Date.parse(metadata.at)).toBe(minute(20));
});
