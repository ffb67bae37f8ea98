import type { Logger } from 'pino';
import { ConfigError } from './config.ts';

/** In ms: what isn't closed by then is cut, beside the time in which a process drains. */
const CLOSE_WITHIN = 15_000;

/** In ms: Ctrl-C reaches a whole group of processes, and npm and tsx hand it on besides: what comes so soon is the same. */
const SAME_SIGNAL = 1_000;

/**
 * On SIGTERM and Ctrl-C: closes once, in order, and ends the process. A second signal ends it at once. `drain`: for how
 * many ms `close` lets others notice before it begins.
 */
export function closeOnSignal(log: Logger, close: () => Promise<void>, { drain = 0 }: { readonly drain?: number } = {}): void {
  let closingSince: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (closingSince !== undefined) {
      if (performance.now() - closingSince > SAME_SIGNAL) process.exit(1);
      return;
    }
    closingSince = performance.now();
    log.info({ signal }, 'closing');
    setTimeout(() => {
      log.error('not closed in time');
      process.exit(1);
    }, drain + CLOSE_WITHIN).unref();
    close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'closing failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** Runs a process' entry: a fault that people can mend is one clear message and exit code 1. */
export async function runEntry(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(messageOf(error));
    process.exit(1);
  }
}

/**
 * What Postgres says of a user, password or database that it doesn't let in, or of a role that the user may not take:
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const REFUSED: readonly string[] = ['28000', '28P01', '3D000', '42501'];

function messageOf(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  const { code, port, message, cause } = error as { code?: string; port?: number; message?: string; cause?: { code?: unknown } };
  if (code === 'EADDRINUSE') return `Port ${port} is in use: stop what listens there, or set PORT to another.`;
  if (code !== undefined && REFUSED.includes(code)) return `Postgres refuses the DATABASE_URL (${message ?? code}).`;
  if (code === 'ECONNREFUSED') return `Nothing answers at the DATABASE_URL (${message || 'connection refused'}).`;
  // What a server or the system said is why; a program's exit code says nothing.
  if (typeof cause?.code === 'string') return `${message ?? ''}: ${messageOf(cause)}`;
  return message === undefined || message === '' ? String(error) : message;
}
