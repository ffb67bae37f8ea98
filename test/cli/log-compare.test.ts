import { describe, expect, it } from 'vitest';
import { compareLogs, type Comparison } from '../../src/cli/log-copy/compare-logs.ts';
import { copyLog } from '../../src/cli/log-copy/copy-log.ts';
import { eventHash, eventId } from '../../src/events/chain.ts';
import { batchOf, lastOf, written } from '../events/contract/batches.ts';
import { runCommandLine } from '../support/run-command-line.ts';
import { emptyDatabase, type SourceLog, tamper, useSourceLog } from './copying.ts';

/* A copy in which something is not as in the source is found out. */

const sourceLog = useSourceLog();

const ADA = 'account-ada';
const OF_ADA = `stream_id = (select id from ledger.streams where name = '${ADA}')`;

type Copies = {
  readonly source: SourceLog;
  readonly target: Awaited<ReturnType<typeof emptyDatabase>>;
  readonly compare: () => Promise<Comparison>;
};

async function copies(): Promise<Copies> {
  const [source, target] = [await sourceLog(), await emptyDatabase()];
  const { position: upTo } = await copyLog({ source: source.store, target: target.store });
  return { source, target, compare: () => compareLogs({ source: source.store, target: target.store, upTo }) };
}

/** Where something was found, and what. */
function found({ findings, shorter }: Comparison): readonly string[] {
  return [...findings, ...shorter].map(({ stream, revision, problem }) => `${stream}@${revision}: ${problem}`);
}

describe('a copy', () => {
  it('of which all is right is passed, and counted', async () => {
    const { source, compare } = await copies();
    const { events, streams } = source;
    const counted = { streams, events };
    expect(await compare()).toEqual({
      source: counted,
      target: counted,
      equalEnds: streams,
      behind: 0,
      shorter: [],
      findings: [],
    });
  });

  it.each([
    [`data = data || ' '`, /@5: its content or place in the target is not what was hashed/],
    [`metadata = replace(metadata, '"app":"writer"', '"app":"other"')`, /@5: its content or place in the target/],
    [`type = 'Other'`, /@5: its content or place in the target/],
    ['id = gen_random_uuid()', /@5: its id in the target is not the beginning/],
    ['hash = sha256(hash)', /@5: its content or place in the target/],
  ])('whose event was changed is found: %s', async (change, expected) => {
    const { target, compare } = await copies();
    await tamper(target.database, `update ledger.events set ${change} where ${OF_ADA} and revision = 5`);
    const problems = found(await compare());
    expect(problems[0]).toMatch(expected);
    for (const problem of problems) expect(problem).toMatch(/^account-ada@[56]: /);
  });

  it('whose event was forged, hash and id and all, is found, and the break in the chain behind it', async () => {
    const { target, compare } = await copies();
    const [event] = await target.store.readStream(ADA, { from: 5, limit: 1 });
    if (event === undefined) throw new Error('no such event');
    const data = event.data.replace(/"amount":\d+/, '"amount":1');
    const hash = eventHash({ ...event, data });
    await tamper(target.database, `update ledger.events set data = $1, hash = $2, id = $3 where ${OF_ADA} and revision = 5`, [
      data,
      hash,
      eventId(hash),
    ]);
    expect(found(await compare())).toEqual([
      expect.stringMatching(/^account-ada@5: the target holds .*, the source /),
      'account-ada@6: the event before it in the target has another hash than it names',
    ]);
  });

  it('whose last event of a stream was cut off is behind, and says where', async () => {
    const { target, compare } = await copies();
    const [last] = await target.store.readStream(ADA, { direction: 'backward', limit: 1 });
    await tamper(target.database, `delete from ledger.events where ${OF_ADA} and revision = $1`, [last?.revision]);
    const comparison = await compare();
    expect(comparison).toMatchObject({ behind: 1, findings: [], equalEnds: comparison.source.streams - 1 });
    expect(found(comparison)).toEqual([expect.stringMatching(/^account-ada@6: the target ends before this revision/)]);
  });

  it('whose event in the middle is missing is found', async () => {
    const { target, compare } = await copies();
    await tamper(target.database, `delete from ledger.events where ${OF_ADA} and revision = 4`);
    expect(found(await compare())[0]).toBe('account-ada@4: the target has revision 5 in its place');
  });

  it('that holds more of a stream, or another stream, is found', async () => {
    const { target, compare } = await copies();
    const ada = await target.store.readStream(ADA, { limit: 100 });
    await written(target.store, batchOf(ADA, [{}], lastOf(ada)));
    await written(target.store, batchOf('account-mallory', [{}, {}]));
    expect(found(await compare())).toEqual([
      expect.stringMatching(/^account-ada@7: it stands in the target alone/),
      'account-mallory@null: the target alone has this stream',
      expect.stringMatching(/^null@null: the target's log has \d+ events, its streams that the source has hold \d+$/),
    ]);
  });
});

describe('log compare', () => {
  it('exits with 1 and names what differs', async () => {
    const { source, target } = await copies();
    const compare = () => runCommandLine('log', ['compare', '--to', target.database.url], source.database.url);
    expect(await compare()).toMatchObject({ code: 0 });
    await tamper(target.database, `update ledger.events set data = data || ' ' where ${OF_ADA} and revision = 5`);
    const { code, stdout } = await compare();
    expect(code).toBe(1);
    expect(stdout).toMatch(/hashes recomputed +\d+ {2}DIFFERENT\n/);
    expect(stdout).toMatch(/stream account-ada, revision 5: its content or place in the target is not what was hashed\n/);
    expect(stdout).toMatch(/The two logs differ\.\n$/);
  }, 90_000);
});
