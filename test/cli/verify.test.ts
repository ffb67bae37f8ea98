import { describe, expect, it } from 'vitest';
import type { Progress } from '../../src/cli/audit/progress.ts';
import { verify } from '../../src/cli/verify.ts';
import { servicePool } from '../../src/database.ts';
import { credits } from '../support/account-samples.ts';
import { ADA, BOB, EVE, matching, type Victim, useVictims } from './tampering.ts';

/* Whoever changes the log, as the database's superuser and with all triggers off, is found out. */

const victim = useVictims();

const NOT_HASHED = matching(/not what was hashed/);
const AT_THE_END = matching(/missing at the end of the stream/);

/** Where the findings are, as `stream@revision`. */
async function named(log: Victim): Promise<ReadonlySet<string>> {
  const findings = await log.verify();
  return new Set(findings.flatMap(({ stream, revision }) => (stream === null ? [] : [`${stream}@${revision}`])));
}

const IN_PLACE = 'where stream_id = (select id from ledger.streams where name = $1) and revision = $2';

describe('a log that nobody touched', () => {
  it('is passed in silence, and gone through whole', async () => {
    const log = await victim();
    const steps: Progress[] = [];
    const pool = servicePool(log.database.url, 'counting', 1);
    expect(await verify({ pool, onProgress: (progress) => steps.push(progress) })).toEqual([]);
    await pool.end();
    // A key for each of 16 commands, and the reference of each of 4 grants; two commits, a release, an expiry.
    expect(steps.at(-1)).toEqual({ events: 20, streams: 3, claims: 20, links: 4 });
  });

  it('holds every type of event that there is', async () => {
    const { database } = await victim();
    const { rows } = await database.superuser.query<{ type: string }>('select distinct type from ledger.events order by type');
    expect(rows.map(({ type }) => type)).toEqual([
      'AccountOpened',
      'CreditsConsumed',
      'CreditsGranted',
      'CreditsReserved',
      'Expired',
      'ReservationReleased',
    ]);
  });

  it('is passed in silence while it is written', async () => {
    const log = await victim();
    const user = (await log.open()).account('bob');
    const progress = { writing: true };
    const write = async () => {
      try {
        for (let count = 0; count < 60; count += 1) await user.commit((await user.reserve(credits(0.2))).revision, credits(0.1));
      } finally {
        progress.writing = false;
      }
    };
    const read = async () => {
      while (progress.writing) expect(await log.verify()).toEqual([]);
    };
    await Promise.all([write(), read()]);
    expect(await log.verify()).toEqual([]);
  });
});

describe('an event that was changed', () => {
  const changes: readonly (readonly [string, string])[] = [
    ['an amount', `data = replace(data, '"amount":9000000', '"amount":8000000')`],
    ['a space in its data', `data = data || ' '`],
    ['its actor', `metadata = replace(metadata, '"app":"writer"', '"app":"other"')`],
    ['its claims', `metadata = replace(metadata, '"claims":["', '"claims":["AAAA')`],
    ['what it names before it', `metadata = regexp_replace(metadata, '"prevHash":"..', '"prevHash":"AA')`],
    ['its type', `type = 'ReservationReleased'`],
    ['all of its data', `data = 'nonsense'`],
    ['all of its metadata', `metadata = 'null'`],
    ['its hash', `hash = sha256(hash)`],
  ];

  it.each(changes)('is named: %s', async (_, change) => {
    const log = await victim();
    await log.tamper(`update ledger.events set ${change} ${IN_PLACE}`, [ADA, 5]);
    const { position } = await log.row(ADA, 5);
    expect(await log.verify()).toContainEqual({ stream: ADA, revision: 5, position, problem: NOT_HASHED });
    for (const place of await named(log)) expect(place).toMatch(/^account-ada@[56]$/);
  });

  it('is named with nothing else where its content alone is another', async () => {
    const log = await victim();
    await log.tamper(`update ledger.events set data = replace(data, '9000000', '8000000') ${IN_PLACE}`, [ADA, 5]);
    expect(await log.verify()).toEqual([{ stream: ADA, revision: 5, position: '9', problem: NOT_HASHED }]);
  });

  it('is named where its id is another', async () => {
    const log = await victim();
    await log.tamper(`update ledger.events set id = gen_random_uuid() ${IN_PLACE}`, [BOB, 2]);
    const problem = 'its id is not the beginning of its hash';
    expect(await log.verify()).toEqual([{ stream: BOB, revision: 2, position: '8', problem }]);
  });
});

describe('an event that was removed', () => {
  const remove = async (log: Victim, stream: string, revision: number) => {
    const { position } = await log.row(stream, revision);
    await log.tamper(`delete from ledger.events ${IN_PLACE}`, [stream, revision]);
    return { findings: await log.verify(), position };
  };

  it.each([
    [ADA, 5],
    [ADA, 0],
    [BOB, 1],
  ])('from the middle is named by its stream and its place: %s@%d', async (stream, revision) => {
    const log = await victim();
    const { findings, position } = await remove(log, stream, revision);
    expect(findings).toContainEqual({ stream, revision, position: null, problem: matching(/this revision is missing/) });
    expect(findings).toContainEqual({ stream: null, revision: null, position, problem: matching(/removed from the log/) });
    expect(await named(log)).toEqual(new Set([`${stream}@${revision}`]));
  });

  it.each([
    [BOB, 3],
    [ADA, 12],
  ])('from the end of a stream is named: %s@%d', async (stream, revision) => {
    const log = await victim();
    const { findings, position } = await remove(log, stream, revision);
    expect(findings).toContainEqual({ stream, revision, position: null, problem: AT_THE_END });
    expect(findings).toContainEqual({ stream: null, revision: null, position, problem: matching(/removed from the log/) });
    expect(await named(log)).toEqual(new Set([`${stream}@${revision}`]));
  });

  it('from the end of the log is named', async () => {
    const log = await victim();
    const { findings } = await remove(log, EVE, 2);
    expect(findings).toContainEqual({ stream: EVE, revision: 2, position: null, problem: AT_THE_END });
    expect(await named(log)).toEqual(new Set([`${EVE}@2`]));
  });

  it('together with all others of its stream is named', async () => {
    const log = await victim();
    await log.tamper('delete from ledger.events where stream_id = (select id from ledger.streams where name = $1)', [BOB]);
    const problem = matching(/revisions 0 to 3 are missing at the end/);
    expect(await log.verify()).toContainEqual({ stream: BOB, revision: 0, position: null, problem });
  });

  it('together with its stream leaves gaps in the log', async () => {
    const log = await victim();
    await log.tamper(
      `with gone as (delete from ledger.streams where name = $1 returning id)
      delete from ledger.events where stream_id in (select id from gone)`,
      [BOB],
    );
    const problem = matching(/removed from the log/);
    for (const position of ['3', '8', '13']) {
      expect(await log.verify()).toContainEqual({ stream: null, revision: null, position, problem });
    }
  });
});

describe('events that were swapped', () => {
  it('data for data in one stream are both named', async () => {
    const log = await victim();
    const [one, other] = [await log.row(ADA, 3), await log.row(ADA, 8)];
    await log.tamper('update ledger.events set data = case position when $1 then $3 else $4 end where position in ($1, $2)', [
      one.position,
      other.position,
      other.data,
      one.data,
    ]);
    expect(await log.verify()).toEqual(
      [one, other].map(({ position, revision }) => ({ stream: ADA, revision: Number(revision), position, problem: NOT_HASHED })),
    );
  });

  it('place for place in one stream are both named', async () => {
    const log = await victim();
    const [one, other] = [await log.row(ADA, 3), await log.row(ADA, 8)];
    await log.tamper('update ledger.events set position = -position where position in ($1, $2)', [one.position, other.position]);
    await log.tamper('update ledger.events set position = $1::bigint + $2::bigint + position where position < 0', [
      one.position,
      other.position,
    ]);
    const findings = await log.verify();
    const early = 'revisions 3 to 7 are missing: the stream goes on with revision 8 at position 6';
    expect(findings).toContainEqual({ stream: ADA, revision: 3, position: null, problem: early });
    expect(findings).toContainEqual({
      stream: ADA,
      revision: 3,
      position: '12',
      problem: 'it stands behind revision 8 of its stream',
    });
  });

  it('of different streams are both named', async () => {
    const log = await victim();
    const [one, other] = [await log.row(ADA, 8), await log.row(BOB, 3)];
    // By way of places that nobody has, since two events can't stand at one.
    await log.tamper('update ledger.events set revision = -1 - revision where position in ($1, $2)', [
      one.position,
      other.position,
    ]);
    await log.tamper(
      `update ledger.events e set stream_id = o.stream_id, revision = -1 - o.revision
       from ledger.events o where e.position in ($1, $2) and o.position in ($1, $2) and o.position <> e.position`,
      [one.position, other.position],
    );
    const findings = await log.verify();
    expect(findings).toContainEqual({ stream: BOB, revision: 3, position: one.position, problem: NOT_HASHED });
    expect(findings).toContainEqual({ stream: ADA, revision: 8, position: other.position, problem: NOT_HASHED });
  });
});

it('stops after a thousand findings, and says so', async () => {
  const log = await victim();
  const bob = (await log.open()).account('bob');
  await Promise.all(Array.from({ length: 1_100 }, () => bob.use(credits(0.01))));
  await log.tamper(`update ledger.events set data = data || ' '`);
  const findings = await log.verify();
  expect(findings).toHaveLength(1_001);
  expect(findings.at(-1)?.problem).toBe('the audit ends after 1000 findings');
});
