import { type Position, START, type Store } from '../../events/store.ts';
import { groupsOf } from './groups.ts';
import { patiently } from '../log-access/patiently.ts';
import { putGroup } from './put-group.ts';

/** How far a copy has come: events that were written, that stood there already, and the source's position behind them. */
export type Copied = { readonly written: number; readonly found: number; readonly position: Position };

export const NOTHING_COPIED: Copied = { written: 0, found: 0, position: START };

/** Events that are read at a time. An event is 256 KiB at the most. */
const PAGE = 500;

/**
 * Copies a log to its present end, behind what was copied `before`, in the source's commit order, each event to the
 * letter and at its own revision. May be broken off at any moment and begun again: what stands in the target is
 * recognised, so that nothing is written twice. Throws where the target holds another event (DifferentEventError), or
 * where one of the two can't be reached for about half a minute.
 */
export async function copyLog(
  { source, target }: { readonly source: Pick<Store, 'readAll'>; readonly target: Store },
  { before = NOTHING_COPIED, onProgress = () => undefined }: { before?: Copied; onProgress?: (copied: Copied) => void } = {},
): Promise<Copied> {
  let copied = before;
  // What a copy that was broken off has written stands at the beginning: from the first group of which there is nothing
  // a look would be in vain.
  let looksFirst = before.position === START && (await patiently(() => target.lastPosition())) !== START;
  for (;;) {
    const page = await patiently(() => source.readAll({ after: copied.position, limit: PAGE }));
    const last = page.at(-1);
    if (last === undefined) return copied;
    if (last.position === copied.position) throw new Error(`the source gives position ${last.position} again and again`);
    let found = 0;
    for (const group of groupsOf(page)) {
      const known = await putGroup(target, group, { looksFirst });
      found += known;
      if (known === 0) looksFirst = false;
    }
    copied = { written: copied.written + page.length - found, found: copied.found + found, position: last.position };
    onProgress(copied);
  }
}
