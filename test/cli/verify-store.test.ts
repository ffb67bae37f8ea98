import { describe, expect, it, onTestFinished } from 'vitest';
import type { Finding } from '../../src/cli/audit/finding.ts';
import type { Progress } from '../../src/cli/audit/progress.ts';
import { reindex } from '../../src/cli/log-reindex/reindex.ts';
import { verify } from '../../src/cli/verify.ts';
import { servicePool } from '../../src/database.ts';
import { createFactIndex } from '../../src/events/kurrent/fact-index.ts';
import { credits } from '../support/account-samples.ts';
import { testStore } from '../support/database.ts';
import { ADA, BOB, matching, type Members, useVictims, type Victim } from './tampering.ts';

/*
 * The audit of a log that is read through the store contract, with the index of claims and links that stands in Postgres
 * for a log in KurrentDB. The log is one in Postgres here, whose own claims, links and heads are not looked at.
 */

const victim = useVictims();

type Indexed = Victim & { readonly audit: (onProgress?: (progress: Progress) => void) => Promise<Finding[]> };

const OF = 'stream_id = (select id from kurrent.streams where name = $1)';

/** A log whose index knows all of it. */
async function indexed(): Promise<Indexed> {
  const log = await victim();
  const { store, close } = testStore(log.database.url, 'read');
  const pool = servicePool(log.database.url, 'audit', 2);
  onTestFinished(async () => {
    await Promise.all([close(), pool.end()]);
  });
  await reindex({ store, index: createFactIndex(pool) });
  return { ...log, audit: (onProgress = () => undefined) => verify({ pool, store, onProgress }) };
}

describe('a log that nobody touched', () => {
  it('is passed in silence, and gone through whole', async () => {
    const log = await indexed();
    const steps: Progress[] = [];
    expect(await log.audit((progress) => steps.push(progress))).toEqual([]);
    expect(steps.at(-1)).toEqual({ events: 20, streams: 3, claims: 20, links: 4, unindexed: 0 });
  });

  it('is passed in silence where the index is behind, and says by how much', async () => {
    const log = await indexed();
    const account = (await log.open()).account('bob');
    await account.commit((await account.reserve(credits(1))).revision);
    await log.tamper('delete from kurrent.streams where name = $1', ['account-eve']);
    await log.tamper('delete from kurrent.claims where stream_id not in (select id from kurrent.streams)');
    const steps: Progress[] = [];
    expect(await log.audit((progress) => steps.push(progress))).toEqual([]);
    // Two of Bob's, and all three of Eve's.
    expect(steps.at(-1)).toMatchObject({ events: 22, unindexed: 5 });
  });

  it('is passed in silence while it is written', async () => {
    const log = await indexed();
    const account = (await log.open()).account('bob');
    const writing = Promise.all(Array.from({ length: 50 }, () => account.use(credits(0.01))));
    expect(await log.audit()).toEqual([]);
    await writing;
  });
});

describe('an event', () => {
  it.each([
    [`data = replace(data, '"amount":9000000', '"amount":8000000')`, /not what was hashed/],
    [`type = 'ReservationReleased'`, /not what was hashed/],
    ['id = gen_random_uuid()', /its id is not the beginning of its hash/],
  ])('that was changed is named: %s', async (change, problem) => {
    const log = await indexed();
    const { position } = await log.row(ADA, 5);
    await log.tamper(`update ledger.events set ${change} where position = $1`, [position]);
    expect(await log.audit()).toContainEqual({ stream: ADA, revision: 5, position, problem: matching(problem) });
  });

  it('that was forged breaks the chain behind it', async () => {
    const log = await indexed();
    await log.forge(ADA, 8, { data: (data) => ({ ...data, appId: 'forged' }) });
    const { position } = await log.row(ADA, 9);
    const problem = matching(/the event before it has another hash/);
    expect(await log.audit()).toEqual([{ stream: ADA, revision: 9, position, problem }]);
  });

  it('whose balances are not what its double entry makes them is named', async () => {
    const log = await indexed();
    await log.forge(BOB, 3, { data: (data) => ({ ...data, after: { ...(data['after'] as Members), available: 48_000_000 } }) });
    const { position } = await log.row(BOB, 3);
    const problem = 'it says that available is 48000000 micro-credits after it, its double entry makes it 47000000';
    expect(await log.audit()).toEqual([{ stream: BOB, revision: 3, position, problem }]);
  });

  it('that was removed from the middle is named', async () => {
    const log = await indexed();
    const { position } = await log.row(ADA, 5);
    await log.tamper('delete from ledger.events where position = $1', [position]);
    expect(await log.audit()).toContainEqual({ stream: ADA, revision: 5, position: null, problem: matching(/is missing/) });
  });

  it('that was cut off the end is missed by the index', async () => {
    const log = await indexed();
    const { position } = await log.row(BOB, 3);
    await log.tamper('delete from ledger.events where position = $1', [position]);
    const problem =
      'the index knows the stream up to revision 3, its last event is at revision 2: what stood behind it was cut off';
    expect(await log.audit()).toContainEqual({ stream: BOB, revision: 3, position: null, problem });
  });
});

describe('the index', () => {
  it('that lacks a claim or gives it to another event is named', async () => {
    const log = await indexed();
    await log.tamper(`delete from kurrent.claims where ${OF} and revision = 5`, [ADA]);
    await log.tamper(`update kurrent.claims set revision = 2 where ${OF} and revision = 3`, [BOB]);
    expect((await log.audit()).map(({ stream, revision, problem }) => [stream, revision, problem])).toEqual([
      [ADA, 5, matching(/its claim .{43} does not stand in the index/)],
      [BOB, 3, matching(/its claim .{43} stands in the index as that of revision 2/)],
      [BOB, 2, matching(/the claim .{43} stands in the index as that of this revision, but the event says nothing of it/)],
    ]);
  });

  it('that has a claim which nobody made is named', async () => {
    const log = await indexed();
    await log.tamper("insert into kurrent.claims select id, sha256('x'), 99 from kurrent.streams where name = $1", [BOB]);
    await log.tamper("insert into kurrent.claims values (12345, sha256('x'), 1)");
    expect((await log.audit()).map(({ stream, revision, problem }) => [stream, revision, problem])).toEqual([
      [BOB, 99, matching(/the claim .{43} stands in the index .*, but there is no such event/)],
      [null, 1, matching(/the claim .{43} stands in the index .*, but there is no such stream in the index/)],
    ]);
  });

  it('that lacks a link, turns it back or has one too many is named', async () => {
    const log = await indexed();
    await log.tamper(`delete from kurrent.links where ${OF} and about = 6`, [ADA]);
    await log.tamper(`update kurrent.links set revision = 1 where ${OF} and about = 2`, [ADA]);
    await log.tamper('insert into kurrent.links select id, 1, 2 from kurrent.streams where name = $1', [BOB]);
    expect((await log.audit()).map(({ stream, revision, problem }) => [stream, revision, problem])).toEqual([
      [ADA, 3, 'it is about revision 2, but the index names the earlier revision 1'],
      [ADA, 7, 'it is about revision 6, but no link in the index says so'],
      [ADA, 1, 'the index names this revision as the last about revision 2, but the event says nothing of it'],
      [BOB, 2, 'the index names this revision as the last about revision 1, but the event says nothing of it'],
    ]);
  });

  it('that has claims and links of events which it says it does not know is named', async () => {
    const log = await indexed();
    await log.tamper('update kurrent.streams set revision = 6 where name = $1', [ADA]);
    const problems = (await log.audit()).filter(({ stream, revision }) => stream === ADA && revision === 7);
    expect(problems.map(({ problem }) => problem)).toEqual([
      matching(/its claim .{43} stands in the index, which knows its stream up to revision 6/),
      'that it is about revision 6 stands in the index, which knows its stream up to revision 6',
    ]);
  });
});
