import { test } from 'vitest';
import type { OpenAccount } from '../../src/commands/open-account.ts';
import { MAX_TOTAL, ZERO } from '../../src/events/amounts.ts';
import { credits, granted, opened } from '../support/account-samples.ts';
import { given } from '../support/given.ts';

const open = (signupGrant = ZERO): OpenAccount => ({ type: 'OpenAccount', signupGrant });
const SIGNUP = { source: 'signup', reason: 'signup', reference: 'signup' } as const;

test('opens an account with nothing in it', () => {
  given().when(open()).then(opened({}));
});

test('gives the signup grant with the opening', () => {
  given()
    .when(open(credits(20)))
    .then(opened({}), granted({ ...SIGNUP, amount: credits(20), after: { available: credits(20), earned: credits(20) } }));
});

test('has nothing to write the second time', () => {
  given(opened()).when(open()).then({ unchanged: null });
  given(opened(), granted({ ...SIGNUP, amount: credits(20) }))
    .when(open(credits(20)))
    .then({ unchanged: null });
});

test('gives the signup grant to an account that was opened without one, by its first inflow', () => {
  given(opened(), granted({ amount: credits(5) }))
    .when(open(credits(20)))
    .then(granted({ ...SIGNUP, amount: credits(20), after: { available: credits(25), earned: credits(25) } }));
});

test('gives another signup grant to nobody, whatever the configuration says later', () => {
  given(opened(), granted({ ...SIGNUP, amount: credits(20) }))
    .when(open(credits(50)))
    .then({ unchanged: null });
});

test('takes a grant that somebody gave under the same reason and reference for the signup grant', () => {
  given(opened(), granted({ amount: credits(5), reason: 'signup', reference: 'signup' }))
    .when(open(credits(20)))
    .then({ unchanged: null });
});

test('leaves the signup grant out where it would lift the account above the largest total', () => {
  given(opened(), granted({ amount: MAX_TOTAL, reference: 'all' }))
    .when(open(credits(20)))
    .then({ unchanged: null });
});
