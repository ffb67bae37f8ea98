import { LRUCache } from 'lru-cache';
import type { Range } from './protocol.ts';

/** Events that are kept at the most, and of one stream in one answer. */
const KEPT = 5_000;
const MOST_TOGETHER = 500;

/**
 * Events that a subscription has just brought, for whoever reads them next: an event never changes, and the ones that
 * are signalled to projectors are the newest. Spares a question to the server for each stream that advanced.
 */
export class RecentEvents<Event> {
  readonly #events = new LRUCache<string, { readonly event: Event }>({ max: KEPT });

  note(stream: string, revision: number, event: Event): void {
    this.#events.set(`${revision}@${stream}`, { event });
  }

  /** All events of a range, where each of them is here; undefined where the server has to be asked. */
  read({ stream, from, direction, count }: Range): readonly Event[] | undefined {
    if (direction !== 'forward' || from === undefined || count > MOST_TOGETHER) return undefined;
    const found: Event[] = [];
    for (let revision = from; revision < from + count; revision += 1) {
      const known = this.#events.get(`${revision}@${stream}`);
      if (known === undefined) return undefined;
      found.push(known.event);
    }
    return found;
  }
}
