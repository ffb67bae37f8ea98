import { test } from 'vitest';
import type { Atomic } from '../../src/commands/atomic.ts';
import {
  commit,
  consumed,
  credits,
  grant,
  granted,
  iso,
  minute,
  opened,
  reserve,
  reserved,
  use,
} from '../support/account-samples.ts';
import { given } from '../support/given.ts';

function all(...commands: Atomic['commands']): Atomic {
  return { type: 'Atomic', commands };
}

test('each command is decided on what the ones before it leave', () => {
  given()
    .when(all(grant({ amount: credits(10) }), use(credits(4)), use(credits(6))))
    .then(
      opened({}),
      granted({ amount: credits(10), after: { available: credits(10), earned: credits(10) } }),
      consumed({
        amount: credits(4),
        fromAvailable: [[1, credits(4)]],
        after: { available: credits(6), earned: credits(10), spent: credits(4) },
      }),
      consumed({ amount: credits(6), fromAvailable: [[1, credits(6)]], after: { earned: credits(10), spent: credits(10) } }),
    );
});

test('one refusal refuses all, and names its command', () => {
  const rejection = { code: 'insufficient_credits', required: credits(7), available: credits(6), operation: 'chat' } as const;
  given(opened(), granted({ amount: credits(10) }))
    .when(all(use(credits(4)), use(credits(7)), use(credits(1))))
    .then({ code: 'batch_refused', index: 1, rejection });
});

test('what an earlier batch held is settled together with what is held anew', () => {
  const held = reserved({ amount: credits(5), lots: [[1, credits(5)]] });
  given(opened(), granted({ amount: credits(10) }), held)
    .when(all(commit(2, credits(3)), reserve({ amount: credits(7) })))
    .then(
      consumed({
        amount: credits(3),
        reservation: 2,
        fromHold: [[1, credits(3)]],
        returned: [[1, credits(2)]],
        after: { available: credits(7), earned: credits(10), spent: credits(3) },
      }),
      reserved({
        amount: credits(7),
        lots: [[1, credits(7)]],
        after: { reserved: credits(7), earned: credits(10), spent: credits(3), dueAt: iso(minute(15)) },
      }),
    );
});

test('where every command was done before nothing is written', () => {
  given(opened(), granted({ amount: credits(10) }))
    .when(all(grant({ amount: credits(10) })))
    .then({ unchanged: null });
});
