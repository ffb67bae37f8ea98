import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/events/canonical.ts';
import { eventHash, eventId, seal } from '../../src/events/chain.ts';
import { credits } from '../support/account-samples.ts';
import { ADA, BOB, EVE, matching, type Members, useVictims } from './tampering.ts';

/* Events forged with care, so that each is sound in itself: the chain, the heads and the double entries tell. */

const victim = useVictims();

describe('a forged event with a hash that fits it', () => {
  it('in the middle of the log breaks all that stands behind it in its stream', async () => {
    const log = await victim();
    const [before, after] = [await log.row(ADA, 7), await log.row(ADA, 8)];
    const note = JSON.parse(before.metadata) as Members;
    const data = { ...(JSON.parse(before.data) as Members), amount: 0, returned: [] };
    const metadata = { ...note, about: [], claims: [], prevHash: before.hash.toString('base64url') };
    const forged = seal({ stream: ADA, revision: 8, type: before.type, data, metadata });
    await log.tamper('update ledger.events set position = -1 - position where position >= $1', [after.position]);
    await log.tamper('update ledger.events set position = -position where position < 0');
    await log.tamper('update ledger.events set revision = -1 - revision where stream_id = $1 and revision >= 8', [
      after.stream_id,
    ]);
    await log.tamper('update ledger.events set revision = -revision where revision < 0');
    await log.tamper('update ledger.streams set revision = revision + 1 where name = $1', [ADA]);
    await log.tamper('insert into ledger.events values ($1, $2, 8, $3, $4, $5, $6, $7)', [
      after.position,
      after.stream_id,
      forged.id,
      forged.type,
      forged.data,
      forged.metadata,
      forged.hash,
    ]);
    const broken = (await log.verify()).filter(({ problem }) => /not what was hashed/.test(problem));
    expect(broken.map(({ stream, revision }) => [stream, revision])).toEqual(
      [9, 10, 11, 12, 13].map((revision) => [ADA, revision]),
    );
    // The forged one is sound in itself: only what stands behind it tells.
    expect((await log.verify()).filter(({ position }) => position === after.position)).toEqual([]);
  });

  it('in the place of another breaks the next one of its stream', async () => {
    const log = await victim();
    await log.forge(ADA, 8, { data: (data) => ({ ...data, appId: 'forged' }) });
    const { position } = await log.row(ADA, 9);
    const problem = matching(/the event before it has another hash/);
    expect(await log.verify()).toEqual([{ stream: ADA, revision: 9, position, problem }]);
  });

  it('in the place of the last one of its stream differs from the head', async () => {
    const log = await victim();
    await log.forge(BOB, 3, { data: (data) => ({ ...data, appId: 'forged' }) });
    const problem = `the stream's head has another hash than its last event`;
    expect(await log.verify()).toEqual([{ stream: BOB, revision: 3, position: null, problem }]);
  });

  it('is named where the first of a stream says that something stood before it', async () => {
    const log = await victim();
    await log.forge(EVE, 0, { metadata: (metadata) => ({ ...metadata, prevHash: 'AAAA' }) });
    const problem = matching(/names an event before it/);
    expect(await log.verify()).toContainEqual({ stream: EVE, revision: 0, position: '18', problem });
  });
});

describe('a forged end of a stream, chain and head and all,', () => {
  /** Forges the last event of Bob's stream, and his head to fit. */
  async function forgedEnd(change: (data: Members) => Members) {
    const log = await victim();
    const hash = await log.forge(BOB, 3, { data: change });
    await log.tamper('update ledger.streams set hash = $2 where name = $1', [BOB, hash]);
    return (await log.verify()).map(({ stream, revision, problem }) => {
      expect([stream, revision]).toEqual([BOB, 3]);
      return problem;
    });
  }
  const after = (data: Members, changes: Members) => ({ ...data, after: { ...(data['after'] as Members), ...changes } });

  it('is named where its double entry does not sum to zero', async () => {
    const problems = await forgedEnd((data) => ({ ...data, amount: credits(1) }));
    expect(problems).toEqual(['its double entry does not sum to zero but to -1000000 micro-credits']);
  });

  it('is named where its balances are not what its double entry makes them', async () => {
    const problems = await forgedEnd((data) => after(data, { available: credits(48), reserved: credits(1) }));
    expect(problems).toEqual([
      'it says that available is 48000000 micro-credits after it, its double entry makes it 47000000',
      'it says that reserved is 1000000 micro-credits after it, its double entry makes it 0',
    ]);
  });

  it('is named where it takes more than there was', async () => {
    const much = { amount: credits(60), fromAvailable: [[1, credits(60)]] };
    const problems = await forgedEnd((data) => after({ ...data, ...much }, { available: 0 }));
    expect(problems).toEqual(['it takes more than there is: available would be -11000000 micro-credits']);
  });

  it('is named where a balance is below zero, or where it is no event at all', async () => {
    expect(await forgedEnd((data) => after(data, { available: -1 }))).toEqual([matching(/can't be read/)]);
    expect(await forgedEnd(() => ({}))).toEqual([matching(/can't be read/)]);
  });
});

it('has test helpers that hash as the ledger does', async () => {
  const log = await victim();
  const { revision, type, data, metadata, hash, id } = await log.row(ADA, 3);
  expect(canonicalJson(JSON.parse(data) as Members)).toBe(data);
  expect(eventHash({ stream: ADA, revision: Number(revision), type, data, metadata })).toEqual(hash);
  expect(eventId(hash)).toBe(id);
});
