import { setTimeout as delay } from 'node:timers/promises';

/** Waits so many milliseconds, or until the signal says to stop. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await delay(milliseconds, undefined, { signal }).catch(() => undefined);
}
