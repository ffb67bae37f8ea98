import { setTimeout as delay } from 'node:timers/promises';
import { OutcomeUnknownError, StoreUnavailableError } from '../../events/store.ts';

/** How often something is tried while a store is away, with growing pauses between: about half a minute in all. */
export const TRIES = 12;
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5_000;

/** Waits before the next try, longer each time. The first one is number 1. */
export async function pauseBefore(tryNumber: number): Promise<void> {
  await delay(Math.min(FIRST_PAUSE * 2 ** (tryNumber - 1), LONGEST_PAUSE));
}

/** Whether the same may go well later. */
export function isPassing(error: unknown): boolean {
  return error instanceof StoreUnavailableError || error instanceof OutcomeUnknownError;
}

/** Reads again while a store is away, a bounded number of times. What may be repeated only. */
export async function patiently<Result>(read: () => Promise<Result>): Promise<Result> {
  for (let tryNumber = 1; ; tryNumber += 1) {
    try {
      return await read();
    } catch (error) {
      if (!isPassing(error) || tryNumber >= TRIES) throw error;
      await pauseBefore(tryNumber);
    }
  }
}
