import { vi } from 'vitest';
import type { Clock } from '../../src/events/clock.ts';

const real = new WeakMap<Clock, () => number>();

/** Puts a service's clock forward by so many ms of its own time, until vi.restoreAllMocks(): so nobody has to wait. */
export function putForward(clock: Clock, milliseconds: number): void {
  const now = real.get(clock) ?? clock.now;
  real.set(clock, now);
  vi.spyOn(clock, 'now').mockImplementation(() => now() + milliseconds);
}
