import {
  type Batch,
  type BatchFailure,
  type BatchResult,
  OutcomeUnknownError,
  type Store,
  StoreUnavailableError,
} from '../../events/store.ts';
import { MAX_BATCH_BYTES } from './decide-batch.ts';

/** A batch as decided, and the size of its texts in bytes. */
export type Proposal = { readonly batch: Batch; readonly bytes: number };

/**
 * How many groups are on their way at once, and how many streams one takes. While one is with Postgres the next is decided
 * and the last one's answers leave; a third would only make all of them smaller. docs/decisions/0009-several-small-groups.md.
 */
const GROUPS_AT_ONCE = 2;
const STREAMS_TOGETHER = 32;

/** How a store takes groups. */
type Options = {
  /**
   * Whether groups are durable one after the other. Then the second one leaves only full, as segments do by Nagle's
   * algorithm (RFC 896): a smaller one gains nothing by it and costs a commit of its own.
   */
  readonly inOrder: boolean;
};

type Waiting = {
  readonly propose: () => Proposal;
  readonly resolve: (result: BatchResult) => void;
  readonly reject: (error: unknown) => void;
};

type Proposed = Proposal & Pick<Waiting, 'resolve' | 'reject'>;

/**
 * Group commit: the batches of many streams share one append. A batch is decided only when its group is made, so that
 * commands which came meanwhile still get in. While a group is on its way the next one fills by itself.
 */
export class GroupCommitter {
  readonly #store: Pick<Store, 'append'>;
  /** How many streams a group must have to leave while another one is on its way. */
  readonly #besideOthers: number;
  #waiting: Waiting[] = [];
  /** Decided, but too large for the group it was decided for: first in the next one. */
  #held: Proposed | undefined;
  #underWay = 0;
  #scheduled = false;

  constructor(store: Pick<Store, 'append'>, { inOrder }: Options = { inOrder: true }) {
    this.#store = store;
    this.#besideOthers = inOrder ? STREAMS_TOGETHER : 1;
  }

  /**
   * Appends what `propose` returns when its turn has come. Rejects with what `propose` threw, with
   * StoreUnavailableError or OutcomeUnknownError, or with what the store said of a batch that it can't take.
   */
  append(propose: () => Proposal): Promise<BatchResult> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ propose, resolve, reject });
      this.#schedule();
    });
  }

  /** Not at once: all that arrived in this turn of the event loop goes into one group. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#mayLeave()) {
      const group = this.#fill();
      if (group.length === 0) continue;
      this.#underWay += 1;
      void this.#send(group).finally(() => {
        this.#underWay -= 1;
        this.#pump();
      });
    }
  }

  #mayLeave(): boolean {
    const waiting = this.#waiting.length + (this.#held === undefined ? 0 : 1);
    if (this.#underWay === 0) return waiting > 0;
    return this.#underWay < GROUPS_AT_ONCE && (waiting >= this.#besideOthers || this.#held !== undefined);
  }

  #fill(): Proposed[] {
    const group: Proposed[] = this.#held === undefined ? [] : [this.#held];
    let bytes = this.#held?.bytes ?? 0;
    this.#held = undefined;
    let taken = 0;
    for (const { propose, resolve, reject } of this.#waiting) {
      if (group.length >= STREAMS_TOGETHER || bytes >= MAX_BATCH_BYTES) break;
      taken += 1;
      try {
        const proposed = { ...propose(), resolve, reject };
        if (group.length > 0 && bytes + proposed.bytes > MAX_BATCH_BYTES) {
          this.#held = proposed;
          break;
        }
        group.push(proposed);
        bytes += proposed.bytes;
      } catch (error) {
        reject(error);
      }
    }
    this.#waiting = this.#waiting.slice(taken);
    return group;
  }

  /** A group that can't be stored is halved until the batch that is to blame stands alone. */
  async #send(group: readonly Proposed[]): Promise<void> {
    let results: readonly (BatchResult | BatchFailure)[];
    try {
      results = await this.#store.append(group.map(({ batch }) => batch));
    } catch (error) {
      const poisoned = !(error instanceof OutcomeUnknownError) && !(error instanceof StoreUnavailableError);
      if (poisoned && group.length > 1) {
        const middle = Math.ceil(group.length / 2);
        await this.#send(group.slice(0, middle));
        await this.#send(group.slice(middle));
      } else {
        for (const { reject } of group) reject(error);
      }
      return;
    }
    group.forEach(({ resolve, reject }, index) => {
      const result = results[index];
      if (result === undefined) reject(new Error('the store did not answer for every batch'));
      else if ('failed' in result) reject(result.failed);
      else resolve(result);
    });
  }
}
