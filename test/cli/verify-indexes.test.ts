import { expect, it } from 'vitest';
import { ADA, BOB, matching, useVictims } from './tampering.ts';

/* What finds events (claims, links, heads) must say what the events say: no less, no more, nothing else. */

const victim = useVictims();

const OF = 'stream_id = (select id from ledger.streams where name = $1)';

it('names the event whose claim was removed', async () => {
  const log = await victim();
  await log.tamper(`delete from ledger.claims where ${OF} and revision = $2`, [ADA, 5]);
  const problem = matching(/its claim .{43} does not stand among the claims/);
  expect(await log.verify()).toEqual([{ stream: ADA, revision: 5, position: '9', problem }]);
});

it('names both events where a claim was given to another', async () => {
  const log = await victim();
  await log.tamper(`update ledger.claims set revision = 8 where ${OF} and revision = $2`, [ADA, 5]);
  expect(await log.verify()).toEqual([
    { stream: ADA, revision: 5, position: '9', problem: matching(/stands among the claims as that of revision 8/) },
    { stream: ADA, revision: 8, position: null, problem: matching(/but the event does not make it/) },
  ]);
});

it.each([
  [2, /but the event does not make it/],
  [99, /but there is no such event/],
])('names a claim that was put in for revision %d', async (revision, problem) => {
  const log = await victim();
  await log.tamper("insert into ledger.claims select id, sha256('x'), $2 from ledger.streams where name = $1", [BOB, revision]);
  expect(await log.verify()).toEqual([{ stream: BOB, revision, position: null, problem: matching(problem) }]);
});

it('names claims of a stream that is not there', async () => {
  const log = await victim();
  await log.tamper(`insert into ledger.claims values (12345, sha256('x'), 1)`);
  expect(await log.verify()).toEqual([{ stream: null, revision: 1, position: null, problem: matching(/no such event/) }]);
});

it('names the event whose link was removed', async () => {
  const log = await victim();
  await log.tamper(`delete from ledger.links where ${OF} and about = $2`, [ADA, 6]);
  const problem = 'it is about revision 6, but no link says so';
  expect(await log.verify()).toEqual([{ stream: ADA, revision: 7, position: '11', problem }]);
});

it('names the event whose link was turned back, and the one it was turned to', async () => {
  const log = await victim();
  await log.tamper(`update ledger.links set revision = 5 where ${OF} and about = $2`, [ADA, 6]);
  expect(await log.verify()).toEqual([
    { stream: ADA, revision: 7, position: '11', problem: 'it is about revision 6, but the link names the earlier revision 5' },
    { stream: ADA, revision: 5, position: null, problem: matching(/last about revision 6, but the event says nothing of it/) },
  ]);
});

it.each([
  [8, /but the event says nothing of it/],
  [99, /but there is no such event/],
])('names a link that was turned forward to revision %d', async (revision, problem) => {
  const log = await victim();
  await log.tamper(`update ledger.links set revision = $3 where ${OF} and about = $2`, [ADA, 6, revision]);
  expect(await log.verify()).toEqual([{ stream: ADA, revision, position: null, problem: matching(problem) }]);
});

it('names a link that was put in', async () => {
  const log = await victim();
  await log.tamper('insert into ledger.links select id, 1, 2 from ledger.streams where name = $1', [BOB]);
  const problem = matching(/last about revision 1, but the event says nothing of it/);
  expect(await log.verify()).toEqual([{ stream: BOB, revision: 2, position: null, problem }]);
});

it.each([
  ['revision = revision + 1', 4, /this revision is missing at the end of the stream, whose head is at revision 4/],
  ['revision = revision + 3', 4, /revisions 4 to 6 are missing at the end of the stream/],
  ['revision = revision - 1', 2, /head is at this revision, its last event at revision 3/],
  ['hash = sha256(hash)', 3, /head has another hash than its last event/],
  ['hash = null', 3, /head has another hash than its last event/],
])('names the stream whose head was changed: %s', async (change, revision, problem) => {
  const log = await victim();
  await log.tamper(`update ledger.streams set ${change} where name = $1`, [BOB]);
  expect(await log.verify()).toEqual([{ stream: BOB, revision, position: null, problem: matching(problem) }]);
});

it('names every event of a stream that was given another name', async () => {
  const log = await victim();
  await log.tamper(`update ledger.streams set name = 'account-mallory' where name = $1`, [BOB]);
  const findings = (await log.verify()).filter(({ problem }) => /not what was hashed/.test(problem));
  expect(findings.map(({ stream, revision }) => [stream, revision])).toEqual(
    [0, 1, 2, 3].map((revision) => ['account-mallory', revision]),
  );
});

it('names every event whose stream was removed', async () => {
  const log = await victim();
  await log.tamper('delete from ledger.streams where name = $1', [BOB]);
  const findings = (await log.verify()).filter(({ problem }) => /belongs to no stream/.test(problem));
  expect(findings.map(({ position }) => position)).toEqual(['3', '4', '8', '13']);
});
