import { describe, expect, it } from 'vitest';
import { ZERO } from '../../src/events/amounts.ts';
import { findReservation } from '../../src/projections/reservations.ts';
import { credits } from '../support/account-samples.ts';
import { useLedger } from '../support/ledger.ts';
import { projectInCuts } from './projecting.ts';

const bench = useLedger();

const MINUTE = 60_000;

describe.each([
  ['event by event', 1],
  ['all in one batch', 500],
])('reservations, %s', (name, together) => {
  /** An account with five credits and a hold of three. */
  const held = async (who: string) => {
    const account = bench.ledger.account(`${who} ${name}`);
    await account.grant(credits(5));
    const hold = await account.reserve(credits(3), { ttl: 10 * MINUTE, personal: 'sealed' });
    return { account, hold };
  };
  const found = async (who: string, revision: number) => {
    const { context, account } = bench.ledger;
    await projectInCuts(context, account(`${who} ${name}`).stream, together);
    return findReservation(context.db, `${who} ${name}`, revision);
  };

  it('are held', async () => {
    const { hold } = await held('held');
    expect(await found('held', hold.revision)).toEqual({
      userId: `held ${name}`,
      revision: hold.revision,
      status: 'held',
      amount: credits(3),
      taken: ZERO,
      released: ZERO,
      uncovered: ZERO,
      app: 'writer',
      appId: 'label',
      operation: 'chat',
      personal: 'sealed',
      createdAt: new Date(hold.metadata.at),
      expiresAt: new Date(hold.data.expiresAt),
      settledAt: null,
    });
    expect(await found('held', hold.revision - 1)).toBeUndefined();
  });

  it.each([
    [2, 2, 1],
    [3, 3, 0],
    [4, 4, 0],
  ])('that are committed with %d of 3 took %d and gave back %d', async (asked, taken, released) => {
    const who = `committed with ${asked}`;
    const { account, hold } = await held(who);
    const event = await account.commit(hold.revision, credits(asked));
    expect(await found(who, hold.revision)).toMatchObject({
      status: 'consumed',
      taken: credits(taken),
      released: credits(released),
      settledAt: new Date(event.metadata.at),
    });
  });

  it('that are released gave everything back', async () => {
    const { account, hold } = await held('released');
    const event = await account.release(hold.revision);
    expect(await found('released', hold.revision)).toMatchObject({
      status: 'released',
      taken: ZERO,
      released: credits(3),
      settledAt: new Date(event.metadata.at),
    });
  });

  it('that ran out gave everything back', async () => {
    const { account, hold } = await held('expired');
    bench.ledger.wait(11 * MINUTE);
    await account.expire();
    expect(await found('expired', hold.revision)).toMatchObject({ status: 'expired', taken: ZERO, released: credits(3) });
  });

  it('that ran out and were committed late took what could be spent, having given back what they held', async () => {
    const { account, hold } = await held('late');
    bench.ledger.wait(11 * MINUTE);
    const event = await account.commit(hold.revision, credits(2));
    expect(await found('late', hold.revision)).toMatchObject({
      status: 'consumed',
      taken: credits(2),
      released: credits(3),
      settledAt: new Date(event.metadata.at),
    });
  });

  it('that ran out and were released late gave back once', async () => {
    const { account, hold } = await held('released late');
    bench.ledger.wait(11 * MINUTE);
    await account.release(hold.revision);
    expect(await found('released late', hold.revision)).toMatchObject({ status: 'released', taken: ZERO, released: credits(3) });
  });

  it('whose lot ran out released what lapsed too', async () => {
    const account = bench.ledger.account(`lapsed ${name}`);
    await account.grant(credits(5), { expiresAt: bench.ledger.context.clock.now() + MINUTE });
    const hold = await account.reserve(credits(3));
    bench.ledger.wait(2 * MINUTE);
    await account.commit(hold.revision, credits(1));
    expect(await found('lapsed', hold.revision)).toMatchObject({ status: 'consumed', taken: credits(1), released: credits(2) });
  });

  it('end together in one event', async () => {
    const { account, hold } = await held('several');
    const other = await account.reserve(credits(1), { ttl: 5 * MINUTE });
    bench.ledger.wait(11 * MINUTE);
    await account.expire();
    expect(await found('several', hold.revision)).toMatchObject({ status: 'expired', released: credits(3) });
    expect(await found('several', other.revision)).toMatchObject({ status: 'expired', released: credits(1) });
  });
});
