import type { Redis } from 'ioredis';
import type { Logger } from 'pino';

/* What is said of a Redis that can't be used: now and then, and never a password. */

/** In ms: the same trouble is logged once in this time. */
const SAID_AGAIN = 30_000;
/** Reasons that are remembered, at the most. */
const REASONS = 20;
/** The oldest Redis that BullMQ recommends: https://docs.bullmq.io/guide/redis-tm-compatibility */
const OLDEST = [6, 2] as const;

/** Tells the log what is wrong with Redis while it is, and when it is over. */
export function createTroubleLog(log: Logger, url: string): { is(error: unknown): void; isOver(): void } {
  const server = withoutSecrets(url);
  // Each reason, and when it was said.
  const said = new Map<string, number>();
  return {
    is(error) {
      const { message: reason } = errorWithoutArguments(error);
      const now = performance.now();
      if (now - (said.get(reason) ?? Number.NEGATIVE_INFINITY) < SAID_AGAIN) return;
      if (said.size >= REASONS) said.clear();
      said.set(reason, now);
      log.warn({ server, reason }, 'Redis at the REDIS_URL cannot be used: read models wait for it, commands do not');
    },
    isOver() {
      if (said.size > 0) log.info({ server }, 'Redis can be used again');
      said.clear();
    },
  };
}

/** What a URL says, but for user, password and options. */
function withoutSecrets(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

/**
 * An error with what it says alone. ioredis attaches the command to an answer that is an error, with all its arguments: a
 * password is one of them, and so are thousands of signals.
 */
export function errorWithoutArguments(error: unknown): Error {
  const { message, code } = error as { readonly message?: string; readonly code?: string };
  // An address with several hosts, such as localhost, fails with an error that has no message.
  return new Error(message === undefined || message === '' ? (code ?? String(error)) : message);
}

/** Warns of a server that is too old, and of one that may remove the queue's keys to make room for others. */
export async function warnOfSettings(redis: Pick<Redis, 'info'>, log: Logger): Promise<void> {
  const info = await redis.info();
  const said = (name: string): string | undefined => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const policy = said('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction')
    log.warn({ policy }, 'Redis removes keys of the queue where its memory is full: set maxmemory-policy to noeviction');
  const version = said('redis_version') ?? '';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]))
    log.warn({ version }, `Redis is older than ${OLDEST.join('.')}: the queue may not work`);
}
