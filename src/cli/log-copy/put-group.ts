import type { Batch, NewEvent, Store } from '../../events/store.ts';
import { batchOf } from './groups.ts';
import { isPassing, patiently, pauseBefore, TRIES } from '../log-access/patiently.ts';

/** Another event stands in the target where the source has one of its own. */
export class DifferentEventError extends Error {
  override readonly name = 'DifferentEventError';
}

type Target = Pick<Store, 'append' | 'readStream' | 'readStreams' | 'findClaims'>;

/**
 * Writes a group of a source's events to a target, each at its own revision, and none twice: what is there is recognised
 * by its id. Looks before it writes where `looksFirst` says so, and after every refusal or unknown outcome. Returns how
 * many it found there. Throws DifferentEventError where another event stands in one's place.
 */
export async function putGroup(
  target: Target,
  group: readonly Batch[],
  { looksFirst }: { looksFirst: boolean },
): Promise<number> {
  let missing = looksFirst ? await missingOf(target, group) : group;
  const found = looksFirst ? eventsIn(group) - eventsIn(missing) : 0;
  let reason: unknown;
  for (let tryNumber = 1; missing.length > 0; tryNumber += 1) {
    if (tryNumber > TRIES) throw new Error(`the target did not take ${placesOf(missing)}`, { cause: reason });
    if (tryNumber > 1) await pauseBefore(tryNumber - 1);
    const refused = await append(target, missing);
    if (refused === undefined) return found;
    reason = refused.reason;
    missing = await missingOf(target, refused.batches);
    // Where the store was well and the batches are as they were, something is in the way that stays.
    const isAsBefore = eventsIn(missing) === eventsIn(refused.batches);
    if (reason === undefined && isAsBefore) await refuseWhatIsInTheWay(target, missing);
  }
  return found;
}

type Refused = { readonly batches: readonly Batch[]; readonly reason: unknown };

/** Appends once. Undefined where all of it was written; or else the batches that may not be, and why where it is known. */
async function append(target: Target, batches: readonly Batch[]): Promise<Refused | undefined> {
  let results: Awaited<ReturnType<Store['append']>>;
  try {
    results = await target.append(batches);
  } catch (error) {
    if (!isPassing(error)) throw new Error(`the target can't store ${placesOf(batches)}`, { cause: error });
    return { batches, reason: error };
  }
  const refused: Batch[] = [];
  let reason: unknown;
  for (const [index, batch] of batches.entries()) {
    const result = results[index];
    if (result?.accepted === true) continue;
    refused.push(batch);
    if (result === undefined) continue;
    if ('failed' in result) {
      if (!isPassing(result.failed)) throw new Error(`the target can't store ${placesOf([batch])}`, { cause: result.failed });
      reason = result.failed;
    } else if (result.contended) reason = new Error(`somebody else writes ${batch.stream}`);
  }
  return refused.length === 0 ? undefined : { batches: refused, reason };
}

/** Of these batches what the target doesn't hold yet. Throws DifferentEventError where it holds something else. */
async function missingOf(target: Target, batches: readonly Batch[]): Promise<readonly Batch[]> {
  const ranges = batches.map(({ stream, events }) => ({
    stream,
    from: events[0]?.revision ?? 0,
    to: events.at(-1)?.revision ?? 0,
  }));
  const there = new Map<string, { readonly revision: number; readonly id: string; readonly type: string }[]>();
  for (const event of await patiently(() => target.readStreams(ranges))) {
    const before = there.get(event.stream);
    if (before === undefined) there.set(event.stream, [event]);
    else before.push(event);
  }
  return batches.flatMap((batch) => {
    const known = there.get(batch.stream) ?? [];
    for (const [index, event] of known.entries()) refuseOther(batch.stream, batch.events[index], event);
    const rest = batch.events.slice(known.length);
    return rest.length === 0 ? [] : [batchOf(batch.stream, rest)];
  });
}

function refuseOther(
  stream: string,
  ours: NewEvent | undefined,
  theirs: { readonly revision: number; readonly id: string; readonly type: string },
): void {
  if (ours?.revision === theirs.revision && ours.id === theirs.id) return;
  const what = ours === undefined ? 'nothing' : `the event ${ours.id} (${ours.type}) at revision ${ours.revision}`;
  throw new DifferentEventError(
    `${stream}, revision ${theirs.revision}: the target holds the event ${theirs.id} (${theirs.type}), the source ${what}`,
  );
}

/** Names what keeps these batches from being written for good: an event that is missing before them, or a claim. */
async function refuseWhatIsInTheWay(target: Target, batches: readonly Batch[]): Promise<void> {
  for (const { stream, expectedRevision, events } of batches) {
    const [head] = await patiently(() => target.readStream(stream, { direction: 'backward', limit: 1 }));
    const revision = head?.revision ?? -1;
    if (revision < expectedRevision) {
      throw new Error(`${stream}, revision ${revision + 1}: it is missing in the target, which holds none behind it`);
    }
    const claims = await patiently(() =>
      target.findClaims(
        stream,
        events.flatMap((event) => event.claims),
      ),
    );
    for (const [claim, holder] of claims) {
      throw new DifferentEventError(
        `${stream}, revision ${holder.revision}: it holds the claim ${claim} in the target, which a later event makes in the source`,
      );
    }
  }
}

function eventsIn(batches: readonly Batch[]): number {
  return batches.reduce((sum, { events }) => sum + events.length, 0);
}

function placesOf(batches: readonly Batch[]): string {
  const [first] = batches;
  const more = batches.length > 1 ? ` and ${batches.length - 1} other streams` : '';
  return `${first?.stream}, revision ${(first?.expectedRevision ?? -1) + 1}${more}`;
}
