import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import { canonicalJson, type Json } from '../../src/events/canonical.ts';
import { eventHash, eventId } from '../../src/events/chain.ts';
import { servicePool } from '../../src/database.ts';
import { verify } from '../../src/cli/verify.ts';
import type { Finding } from '../../src/cli/audit/finding.ts';
import { credits } from '../support/account-samples.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openLedger, type TestLedger } from '../support/ledger.ts';

/** A stored event, as a superuser finds it. */
export type Row = {
  position: string;
  stream_id: string;
  revision: string;
  id: string;
  type: string;
  data: string;
  metadata: string;
  hash: Buffer;
};

/** A log with a life behind it, and hands that may do anything to it. */
export type Victim = {
  readonly database: TestDatabase;
  /** A ledger that goes on writing it, closed with the test. */
  readonly open: () => Promise<TestLedger>;
  /** Runs a statement with all triggers off. */
  readonly tamper: (statement: string, values?: readonly unknown[]) => Promise<void>;
  readonly row: (stream: string, revision: number) => Promise<Row>;
  /** Writes another event in an event's place, with the hash and id that belong to it; returns its hash. */
  readonly forge: (stream: string, revision: number, change: Change) => Promise<Buffer>;
  readonly verify: () => Promise<Finding[]>;
};

export type Change = { readonly data?: (data: Members) => Members; readonly metadata?: (metadata: Members) => Members };
export type Members = { readonly [name: string]: Json };

export const ADA = 'account-ada';
export const BOB = 'account-bob';
export const EVE = 'account-eve';

/** A text that fits a pattern, for where a text stands in what is expected. */
export function matching(pattern: RegExp): string {
  return expect.stringMatching(pattern) as string;
}

/** Writes a log through the real write path, once for a file. Returns what makes a copy of it for a test. */
export function useVictims(): () => Promise<Victim> {
  let original: TestDatabase | undefined;
  beforeAll(async () => {
    original = await createTestDatabase();
    const ledger = await openLedger(original.url);
    await live(ledger);
    await ledger.close();
    // What somebody is connected to can't be copied.
    await original.superuser.end();
  });
  afterAll(async () => {
    await original?.close();
  });
  return async () => {
    if (original === undefined) throw new Error('the tests do not run yet');
    return victimOf(await createTestDatabase(new URL(original.url).pathname.slice(1)));
  };
}

/** Closed with the test. */
function victimOf(database: TestDatabase): Victim {
  const pool = servicePool(database.url, 'verify', 1);
  let ledger: TestLedger | undefined;
  onTestFinished(async () => {
    await Promise.all([ledger?.close(), pool.end()]);
    await database.close();
  });
  const { superuser } = database;
  const tamper: Victim['tamper'] = async (statement, values = []) => {
    await superuser.query('begin');
    await superuser.query('set local session_replication_role = replica');
    await superuser.query(statement, [...values]);
    await superuser.query('commit');
  };
  const row: Victim['row'] = async (stream, revision) => {
    const { rows } = await superuser.query<Row>(
      'select e.* from ledger.events e join ledger.streams s on s.id = e.stream_id where s.name = $1 and e.revision = $2',
      [stream, revision],
    );
    if (rows[0] === undefined) throw new Error(`${stream} has no revision ${revision}`);
    return rows[0];
  };
  return {
    database,
    open: async () => (ledger = await openLedger(database.url)),
    tamper,
    row,
    async forge(stream, revision, change) {
      const { position, type, ...old } = await row(stream, revision);
      const data = changed(old.data, change.data);
      const metadata = changed(old.metadata, change.metadata);
      const hash = eventHash({ stream, revision, type, data, metadata });
      await tamper('update ledger.events set data = $2, metadata = $3, hash = $4, id = $5 where position = $1', [
        position,
        data,
        metadata,
        hash,
        eventId(hash),
      ]);
      return hash;
    },
    verify: () => verify({ pool }),
  };
}

function changed(text: string, change: ((members: Members) => Members) | undefined): string {
  return change === undefined ? text : canonicalJson(change(JSON.parse(text) as Members));
}

/** Every type of event: Ada does it all, Bob and Eve a little; somebody is refused before an account is there. */
async function live(ledger: TestLedger): Promise<void> {
  const [ada, bob, eve] = [ledger.account('ada'), ledger.account('bob'), ledger.account('eve')];
  await ada.grant(credits(100));
  await bob.grant(credits(50));
  const less = await ada.reserve(credits(10));
  await ada.commit(less.revision, credits(4));
  const more = await ada.reserve(credits(5));
  await bob.use(credits(1));
  await ada.commit(more.revision, credits(9));
  const unused = await ada.reserve(credits(3));
  await ada.release(unused.revision);
  await ada.use(credits(2));
  await bob.use(credits(2));
  await ada.grant(credits(7), { expiresAt: ledger.context.clock.now() + 60_000 });
  await ada.reserve(credits(1), { ttl: 1_000 });
  ledger.wait(2_000_000);
  await ada.expire();
  await ada.use(credits(1));
  await eve.grant(credits(5));
  await eve.use(credits(1));
  await ledger
    .account('nobody')
    .use(credits(1))
    .catch(() => undefined);
}
