import type { Chaos } from './chaos.ts';
import type { Clients } from './clients.ts';
import type { Wire } from './wire.ts';

/** In ms: how often a line is written where nobody watches, and how long nothing at all may be acknowledged. */
const LINE_EVERY = 10_000;
const LOOK_EVERY = 1_000;
const STANDS_STILL_AFTER = 60_000;

export type Progress = { stop(): void };

/**
 * Shows how the soak goes, on one line of a terminal or on a line now and then. `onStandstill` is told where nothing is
 * acknowledged for too long.
 */
export function showProgress(
  { clients, chaos, wire }: { readonly clients: Clients; readonly chaos: Chaos; readonly wire: Wire },
  onStandstill: (error: Error) => void,
): Progress {
  const { isTTY } = process.stderr;
  const began = performance.now();
  let last = { at: began, acknowledged: 0, movedAt: began };
  let shown = began;
  const look = (): void => {
    const now = performance.now();
    const { acknowledged } = clients.counts;
    const rate = Math.round(((acknowledged - last.acknowledged) * 1_000) / (now - last.at));
    const moved = acknowledged > last.acknowledged;
    last = { at: now, acknowledged, movedAt: moved ? now : last.movedAt };
    if (now - last.movedAt > STANDS_STILL_AFTER) onStandstill(new Error(`nothing was acknowledged in ${STANDS_STILL_AFTER} ms`));
    if (!isTTY && now - shown < LINE_EVERY) return;
    shown = now;
    const line = `${clockOf(now - began)} ${rate}/s · ${summaryOf(clients, wire)} · ${troublesOf(chaos)}`;
    process.stderr.write(isTTY ? `\r${line.slice(0, process.stderr.columns - 1)}\u001b[K` : `${line}\n`);
  };
  const timer = setInterval(look, LOOK_EVERY);
  return {
    stop() {
      clearInterval(timer);
      if (isTTY) process.stderr.write('\r\u001b[K');
    },
  };
}

function clockOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(14, 19);
}

/** What came of the commands so far. */
export function summaryOf({ counts }: Clients, { repeated }: Wire): string {
  const { acknowledged, refused, looks, late } = counts;
  return `${acknowledged} acknowledged, ${refused} refused, ${repeated} sent again, ${looks} looks, ${late} too early to see`;
}

function troublesOf({ struck }: Chaos): string {
  return `${[...struck.values()].reduce((sum, times) => sum + times, 0)} troubles`;
}
