import { LIVE, NEXT, type OtherGeneration } from '../../projections/generations.ts';
import { createFiller, type Filled, type Filler, listParked } from '../../projections/rebuild.ts';
import { readAppliedPosition } from '../../projections/router-position.ts';
import type { ReadDatabase } from '../../projections/database.ts';
import { claimRebuild, RefusedError, standingOf } from './owner.ts';
import type { RebuildParts } from './parts.ts';
import { analyze, createNext, markFed } from './structure.ts';

/** Events that are left to whoever feeds the generation; and how often it is gone on with to come so near to the end. */
const NEAR = 10_000;
const MAX_ROUNDS = 20;
/** Parked streams that are named. */
const NAMED = 20;

/**
 * Builds the next generation beside the live one, or goes on where that was broken off, until it has caught up with the
 * log. Returns whether all of it could be applied. Throws RefusedError.
 */
export async function start(parts: RebuildParts): Promise<boolean> {
  const { owner, store, databases, say, tell } = parts;
  await claimRebuild(owner);
  const standing = await standingOf(owner);
  if (standing.previous) {
    throw new RefusedError('The generation before stands: `back` to it, or `drop` it, before another one is built.');
  }
  if (!standing.next) await createNext(owner);
  const db = databases[NEXT];
  const from = await readAppliedPosition(db);
  say(
    standing.next ? `Going on behind position ${from} of the log.` : `A new generation is built beside the live one (${LIVE}).`,
  );
  const filler = createFiller({ db, store, onTrouble: (error) => tell('trying again', error) });
  if (!standing.fed) {
    await fillNearly(parts, filler);
    await markFed(owner);
  }
  // What is written from here on is fed by the projectors too; what was written before is in front of this position.
  const { position, applied } = await fillOnce(parts, filler);
  await analyze(owner, NEXT);
  say(`The new generation has caught up with the log at position ${position}: ${applied} events applied.`);
  return tellParked(db, NEXT, say);
}

/** Fills until few events are left, however fast the log grows meanwhile. */
async function fillNearly(parts: RebuildParts, filler: Filler): Promise<void> {
  let before = 0;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const { applied } = await fillOnce(parts, filler);
    if (applied - before < NEAR) return;
    before = applied;
  }
  throw new Error('the log grows as fast as it is applied: start again when there is less to do');
}

/** Fills up to where the log ends now. */
async function fillOnce({ store, progress }: RebuildParts, filler: Filler): Promise<Filled> {
  const goal = await store.lastPosition();
  const bar = progress('rebuilding', goal);
  const begun = performance.now();
  let before: number | undefined;
  try {
    return await filler.fillUpTo(goal, ({ position, applied }) => {
      before ??= applied;
      const rate = Math.round((applied - before) / Math.max((performance.now() - begun) / 1_000, 0.001));
      bar.at(position, `${applied} events applied, ${rate} a second`);
    });
  } finally {
    bar.stop();
  }
}

/** Says which streams are parked in a generation. Returns whether none is. */
export async function tellParked(db: ReadDatabase, generation: OtherGeneration, say: (text: string) => void): Promise<boolean> {
  const { parked, count } = await listParked(db, NAMED);
  if (count === 0) return true;
  say(`${count} of its streams can't be applied and are parked in ${generation} only:`);
  for (const { stream, revision, error } of parked) say(`  ${stream} at revision ${revision}: ${error}`);
  if (count > parked.length) say(`  and ${count - parked.length} more`);
  return false;
}
