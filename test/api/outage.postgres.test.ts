import { describe, expect, it, vi } from 'vitest';
import { giveCredits, granted } from '../support/api-client.ts';
import { lockWaits } from '../support/lock-waits.ts';
import { lengthOf } from '../support/log-of.ts';
import { useService } from '../support/use-service.ts';
import { allowConnections, expectUnavailable, refuseConnections } from './connections.ts';

/* Appends that hang on a lock of Postgres, whose connections are lost, or which wait longer than a statement may take. */

const SERVICES = '/api/v1/internal/credits';

const bench = useService();

describe('a connection that is lost in the middle of an append', () => {
  it('leaves one effect and one answer, whichever way it ended', async () => {
    await giveCredits(bench.app, 'doubt-user', 100);
    const release = await blockStream('account-doubt-user');
    const answers = Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        bench.app.post(`${SERVICES}/use`, { userId: 'doubt-user', amount: 1, idempotencyKey: `doubt-${index}` }),
      ),
    );
    await waitForBlocked();
    await bench.database.superuser.query(
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()`,
    );
    await release();
    for (const answer of await answers) {
      granted(answer);
      expect(answer.headers.get('idempotency-replayed')).toBeNull();
    }
    expect(await countOf('account-doubt-user')).toBe(2 + 8);
  });

  it('is 503 where it stays away, and the same key finds out later', async () => {
    await giveCredits(bench.app, 'gone-user', 100);
    const release = await blockStream('account-gone-user');
    const use = () => bench.app.post(`${SERVICES}/use`, { userId: 'gone-user', amount: 1, idempotencyKey: 'gone' });
    const answer = use();
    await waitForBlocked();
    await release(async () => refuseConnections(bench.database));
    expectUnavailable(await answer);
    await allowConnections(bench.database);
    expect(granted(await use()).body).toMatchObject({ newBalance: { balance: 99 } });
    expect(await countOf('account-gone-user')).toBe(3);
  });
});

describe('an append that waits longer than a statement may take', () => {
  it('is 503 for whoever waited for it, and is not there', async () => {
    await giveCredits(bench.app, 'slow-user', 100);
    const release = await blockStream('account-slow-user');
    const use = () => bench.app.post(`${SERVICES}/use`, { userId: 'slow-user', amount: 1, idempotencyKey: 'slow' });
    expectUnavailable(await use());
    await release();
    expect(granted(await use()).headers.get('idempotency-replayed')).toBeNull();
    expect(await countOf('account-slow-user')).toBe(3);
  });
});

/** Holds a stream's head, so that appends to it wait. Returns what lets go, after something else where that is given. */
async function blockStream(stream: string): Promise<(before?: () => Promise<void>) => Promise<void>> {
  await bench.database.superuser.query('begin');
  await bench.database.superuser.query('select from ledger.streams where name = $1 for update', [stream]);
  return async (before) => {
    await before?.();
    await bench.database.superuser.query('rollback');
  };
}

/** Until somebody waits for what is held. */
async function waitForBlocked(): Promise<void> {
  const { superuser } = bench.database;
  await vi.waitFor(async () => expect(await lockWaits(superuser)).toBeGreaterThan(0), { timeout: 15_000, interval: 10 });
}

const countOf = (stream: string): Promise<number> => lengthOf(bench.service.context.store, stream);
