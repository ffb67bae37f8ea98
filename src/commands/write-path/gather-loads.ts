import type { StreamState } from './stream-state.ts';

/** How many streams are loaded in one round trip, and how many round trips go on at once. */
const LOAD_TOGETHER = 64;
const LOADS_AT_ONCE = 2;

/** A stream as loaded, and the revision of the snapshot it was loaded from. */
export type Loaded<State> = { readonly state: StreamState<State>; readonly snapshotAt: number | undefined };

export type Loader<State> = (stream: string) => Promise<Loaded<State>>;

/** A stream as far as it was loaded, or why it can't be. */
export type Progress<State> = Loaded<State> | { readonly error: unknown };

type Wanted<State> = {
  readonly stream: string;
  readonly resolve: (loaded: Loaded<State>) => void;
  readonly reject: (error: unknown) => void;
};

/** Loads the streams that are wanted at the same time in one go; one that can't be loaded fails alone. */
export function gatherLoads<State>(
  loadMany: (streams: readonly string[]) => Promise<ReadonlyMap<string, Progress<State>>>,
): Loader<State> {
  const wanted: Wanted<State>[] = [];
  let loads = 0;

  return (stream) =>
    new Promise((resolve, reject) => {
      wanted.push({ stream, resolve, reject });
      setImmediate(loadWanted);
    });

  function loadWanted(): void {
    while (loads < LOADS_AT_ONCE && wanted.length > 0) {
      const together = wanted.splice(0, LOAD_TOGETHER);
      loads += 1;
      void load(together).finally(() => {
        loads -= 1;
        loadWanted();
      });
    }
  }

  async function load(together: readonly Wanted<State>[]): Promise<void> {
    try {
      const progress = await loadMany([...new Set(together.map(({ stream }) => stream))]);
      for (const { stream, resolve, reject } of together) {
        const found = progress.get(stream);
        if (found === undefined || 'error' in found) reject(found?.error);
        else resolve(found);
      }
    } catch (error) {
      if (together.length > 1 && isAboutData(error)) {
        const middle = Math.ceil(together.length / 2);
        await load(together.slice(0, middle));
        await load(together.slice(middle));
      } else {
        for (const { reject } of together) reject(error);
      }
    }
  }
}

/** SQLSTATE class 22: a name that Postgres can't take, which is one stream's trouble alone. */
function isAboutData(error: unknown): boolean {
  const { code, cause } = error as { code?: unknown; cause?: { code?: unknown } };
  return [code, cause?.code].some((one) => typeof one === 'string' && one.startsWith('22'));
}
