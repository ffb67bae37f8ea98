import { SingleBar } from 'cli-progress';
import { type Position, START } from '../../events/store.ts';
import { positionsBetween } from '../../projections/router-position.ts';

/** In ms: where there is no terminal, a line is enough now and then. */
const LINE_EVERY = 5_000;

export type ProgressBar = {
  /** How far it has come in the log, and what else there is to say. */
  at(position: Position, words?: string): void;
  stop(): void;
};

/** Shows on standard error how far a run through a log has come on its way to `end`: a bar on a terminal, or else lines. */
export function progressBar(what: string, end: Position): ProgressBar {
  const total = positionsBetween(START, end);
  return process.stderr.isTTY ? barOn(process.stderr, what, total) : linesOf(what, total);
}

function barOn(stream: NodeJS.WriteStream, what: string, total: number): ProgressBar {
  const bar = new SingleBar({
    stream,
    format: `${what} {bar} {percentage} % · {eta_formatted} to go · {words}`,
    hideCursor: true,
    clearOnComplete: true,
  });
  bar.start(total, 0, { words: '' });
  return {
    at: (position, words = '') => bar.update(Math.min(positionsBetween(START, position), total), { words }),
    stop: () => bar.stop(),
  };
}

function linesOf(what: string, total: number): ProgressBar {
  let lastAt = performance.now();
  return {
    at(position, words = '') {
      if (performance.now() - lastAt < LINE_EVERY) return;
      lastAt = performance.now();
      const done = Math.min(positionsBetween(START, position), total);
      process.stderr.write(`${what}: ${Math.floor((100 * done) / Math.max(total, 1))} % ${words}\n`);
    },
    stop: () => undefined,
  };
}
