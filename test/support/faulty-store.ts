import { type Batch, OutcomeUnknownError, type Store, StoreUnavailableError } from '../../src/events/store.ts';

/** What may go wrong between a write path and its store. */
export type Fault =
  /** The events are written, and the answer is lost on the way. */
  | 'answer lost'
  /** The call never reaches the store, and nobody knows. */
  | 'call lost'
  /** The call is still on its way when its answer is given up, and arrives right before the next one. */
  | 'late'
  /** The store says that it can't be reached. */
  | 'down';

export type FaultyStore = {
  /** Stands before a store; see `openWritePath`. */
  readonly before: (store: Store) => Store;
  /** What happens to the next appends, one each. */
  readonly faults: Fault[];
  /** Every group that was to be appended. */
  readonly appends: (readonly Batch[])[];
  /** While set, every call fails as if the store could not be reached. */
  down: boolean;
  /** Lets appends wait until the gate is opened; returns what opens it. */
  hold(): () => void;
};

/** A store that fails as it is told to. */
export function faultyStore(): FaultyStore {
  let gate: Promise<void> = Promise.resolve();
  const late: (readonly Batch[])[] = [];
  const faulty: FaultyStore = {
    faults: [],
    appends: [],
    down: false,
    hold() {
      let open = (): void => undefined;
      gate = new Promise((resolve) => {
        open = resolve;
      });
      return open;
    },
    before: (store) => ({
      ...store,
      append: (batches) => append(store, batches),
      readStream: (...parameters) => reachable(() => store.readStream(...parameters)),
      readStreams: (...parameters) => reachable(() => store.readStreams(...parameters)),
      findClaims: (...parameters) => reachable(() => store.findClaims(...parameters)),
      lastAbout: (...parameters) => reachable(() => store.lastAbout(...parameters)),
    }),
  };
  return faulty;

  async function append(store: Store, batches: readonly Batch[]): ReturnType<Store['append']> {
    faulty.appends.push(batches);
    await gate;
    for (const group of late.splice(0)) await store.append(group);
    const fault = faulty.down ? 'down' : faulty.faults.shift();
    switch (fault) {
      case undefined:
        return store.append(batches);
      case 'answer lost':
        await store.append(batches);
        throw new OutcomeUnknownError('the answer was lost');
      case 'call lost':
        throw new OutcomeUnknownError('the call was lost');
      case 'late':
        late.push(batches);
        throw new OutcomeUnknownError('the call is late');
      case 'down':
        throw new StoreUnavailableError('the store is away');
      default:
        return fault satisfies never;
    }
  }

  async function reachable<Result>(read: () => Promise<Result>): Promise<Result> {
    if (faulty.down) throw new StoreUnavailableError('the store is away');
    return read();
  }
}
