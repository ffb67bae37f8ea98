import type pg from 'pg';
import { FED_MARK, LIVE, NEXT, type OtherGeneration, PREVIOUS } from '../../projections/generations.ts';
import { bring } from '../../projections/rebuild.ts';
import { claimRebuild, RefusedError, standingOf, whileProjectorsWait } from './owner.ts';
import type { RebuildParts } from './parts.ts';

/*
 * Making another generation the live one. Projectors stand still meanwhile; readers don't: each of their statements looks
 * in whatever goes by the name of the live generation when it begins.
 */

/** Streams that are brought level at a time; while the projectors wait, that many at the most. */
const TOGETHER = 500;
/** Streams so few that the projectors may wait for them; and how often all are gone through before, to come to that. */
const FEW = 100;
const MAX_PASSES = 20;
/** Streams that are named where they stand in the way. */
const NAMED = 20;

/** A stream that another generation has not as far as the live one. */
type Behind = { readonly stream: string; readonly revision: number };

/** Makes the next generation the live one, and the live one the previous. Throws RefusedError. */
export async function switchOver(parts: RebuildParts, { despiteParked }: { readonly despiteParked: boolean }): Promise<void> {
  const { owner, say } = parts;
  await claimRebuild(owner);
  const { next, fed, previous } = await standingOf(owner);
  if (previous) throw new RefusedError('The generation before the last switch stands: `drop` it, or go `back` to it, first.');
  if (!next) throw new RefusedError('There is no next generation: `start` builds one.');
  if (!fed) throw new RefusedError('The next generation has not caught up with the log yet: let `start` come to its end.');
  await exchange(parts, { coming: NEXT, leaving: PREVIOUS, despiteParked });
  say('Switched. The generation before is fed on: `back` returns to it at once, `drop` removes it.');
}

/** Makes the previous generation live again, and the live one the next, where it can be looked at. Throws RefusedError. */
export async function switchBack(parts: RebuildParts, { despiteParked }: { readonly despiteParked: boolean }): Promise<void> {
  const { owner, say } = parts;
  await claimRebuild(owner);
  const { next, previous } = await standingOf(owner);
  if (!previous) throw new RefusedError('There is no generation before to go back to.');
  if (next) throw new RefusedError('A next generation stands: `abandon` it first.');
  await exchange(parts, { coming: PREVIOUS, leaving: NEXT, despiteParked });
  say('Back. What was switched to is the next generation again: `compare` it, `switch` to it again, or `abandon` it.');
}

type Exchange = { readonly coming: OtherGeneration; readonly leaving: OtherGeneration; readonly despiteParked: boolean };

async function exchange(parts: RebuildParts, { coming, leaving, despiteParked }: Exchange): Promise<void> {
  const { owner, databases, store } = parts;
  await catchUp(parts, coming);
  const marked = await whileProjectorsWait(owner, async () => {
    const behind = await behindOf(owner, coming);
    // What was applied to the live generation a moment ago, and is on its way to this one.
    if (behind.length > 0) await bring({ db: databases[coming], store }, behind, { alone: true });
    if (!despiteParked) await refuseParked(owner, coming);
    if (behind.length > 0) await refuseBehind(owner, coming);
    return rename(owner, coming, leaving);
  });
  // The generation that was live could not apply these, and whoever routes passed over them.
  if (marked.length > 0) await bring({ db: databases[LIVE], store }, marked);
}

/** Brings a generation to where the live one is, as far as that goes while both go on. */
async function catchUp({ owner, databases, store }: RebuildParts, coming: OtherGeneration): Promise<void> {
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    let brought = 0;
    let page = await behindOf(owner, coming);
    while (page.length > 0) {
      const { parked } = await bring({ db: databases[coming], store }, page);
      brought += page.length - parked.length;
      page = await behindOf(owner, coming, page.at(-1)?.stream);
    }
    if (brought <= FEW) return;
  }
}

/** Streams of which the live generation has more than another one, a page of them behind the stream `after`. */
async function behindOf(owner: pg.Client, coming: OtherGeneration, after = ''): Promise<readonly Behind[]> {
  const { rows } = await owner.query<{ stream: string; revision: string }>(
    `select l.stream, l.revision from ${LIVE}.checkpoints l left join ${coming}.checkpoints c on c.stream = l.stream
     where l.stream > $1 and coalesce(c.revision, -1) < l.revision order by l.stream limit $2`,
    [after, TOGETHER],
  );
  return rows.map(({ stream, revision }) => ({ stream, revision: Number(revision) }));
}

async function refuseParked(owner: pg.Client, coming: OtherGeneration): Promise<void> {
  const { rows } = await owner.query<{ stream: string; revision: string; error: string; count: string }>(
    `select c.stream, c.revision, c.error, count(*) over () as count from ${coming}.parked c
     where not exists (select from ${LIVE}.parked l where l.stream = c.stream and l.revision <= c.revision) order by c.stream limit $1`,
    [NAMED],
  );
  if (rows.length === 0) return;
  const named = rows.map(({ stream, revision, error }) => `  ${stream} at revision ${revision}: ${error}`);
  const count = Number(rows[0]?.count);
  throw new RefusedError(
    [
      `${count} streams can't be applied in ${coming} as far as in the live generation: reads of them would go back.`,
      ...named,
      ...(count > rows.length ? [`  and ${count - rows.length} more`] : []),
      'Mend what is wrong and try again; or switch with --despite-parked, and they show what they have until they are mended.',
    ].join('\n'),
  );
}

/** Parked streams stay behind, and were spoken of. */
async function refuseBehind(owner: pg.Client, coming: OtherGeneration): Promise<void> {
  const { rows } = await owner.query<{ stream: string; live: string; here: string }>(
    `select l.stream, l.revision as live, coalesce(c.revision, -1) as here
     from ${LIVE}.checkpoints l left join ${coming}.checkpoints c on c.stream = l.stream
     where coalesce(c.revision, -1) < l.revision and not exists (select from ${coming}.parked p where p.stream = l.stream)
     order by l.stream limit 1`,
  );
  const [one] = rows;
  if (one === undefined) return;
  throw new RefusedError(`${coming} is behind: ${one.stream} is at revision ${one.here} there, and at ${one.live} in ${LIVE}.`);
}

/**
 * The switch itself. Returns the streams that are parked in the generation that leaves and not in the one that comes: they
 * are marked as parked here too, so that they are brought to their end whatever becomes of this process.
 */
async function rename(owner: pg.Client, coming: OtherGeneration, leaving: OtherGeneration): Promise<readonly Behind[]> {
  const { rows } = await owner.query<{ stream: string; revision: string }>(
    `insert into ${coming}.parked (stream, revision, error)
     select l.stream, coalesce(c.revision, -1) + 1, 'it was parked in the generation before: to be tried'
     from ${LIVE}.parked l left join ${coming}.checkpoints c on c.stream = l.stream
     on conflict (stream) do nothing returning stream, revision`,
  );
  // What holds of the live one holds of the other: all of it is applied, or parked.
  await owner.query(`update ${coming}.applied set position = (select position from ${LIVE}.applied)`);
  await owner.query(`drop table if exists ${coming}.${FED_MARK}`);
  await owner.query(`alter schema ${LIVE} rename to ${leaving}`);
  await owner.query(`alter schema ${coming} rename to ${LIVE}`);
  if (leaving === NEXT) await owner.query(`create table ${leaving}.${FED_MARK} ()`);
  return rows.map(({ stream, revision }) => ({ stream, revision: Number(revision) }));
}
