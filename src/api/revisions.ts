import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { appliedRevision } from '../projections/checkpoints.ts';
import type { ReadDatabase } from '../projections/database.ts';
import { ApiError, invalid } from './errors.ts';
import { textSchema } from './schemas.ts';

/** Streams and revisions: what a command wrote, or what a read has to have seen. */
export type Revisions = readonly (readonly [stream: string, revision: number])[];

const revisionsSchema = z.array(z.tuple([textSchema(256), z.int().nonnegative()])).max(100);

/** In ms: how long a read waits for what it has to see, and how often it looks. */
const VISIBLE_WITHIN = 2_000;
const LOOK_EVERY = 20;

/** The token of what a command wrote: opaque to callers. */
export function revisionToken(revisions: Revisions): string {
  return Buffer.from(JSON.stringify(revisions)).toString('base64url');
}

/**
 * What a read of a stream has to have seen, from `X-Min-Revision` or `minRevision`: a token, or the stream's revision as a
 * number, -1 where it had none. What a token names beside that stream is nothing to this read, nor to its caller.
 */
export function minRevisionOf(request: FastifyRequest, stream: string): Revisions {
  const given = request.headers['x-min-revision'] ?? (request.query as { minRevision?: unknown }).minRevision;
  if (given === undefined) return [];
  if (typeof given === 'string' && /^(?:\d{1,15}|-1)$/.test(given)) return [[stream, Number(given)]];
  const parsed = revisionsSchema.safeParse(typeof given === 'string' ? decode(given) : undefined);
  if (!parsed.success) throw invalid([{ path: 'minRevision', message: 'must be a revision, or a token from X-Ledger-Revision' }]);
  return parsed.data.filter(([name]) => name === stream);
}

function decode(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Waits until all of it has been applied to the read models, a bounded time; then 409. */
export async function waitUntilVisible(db: ReadDatabase, revisions: Revisions): Promise<void> {
  const until = performance.now() + VISIBLE_WITHIN;
  for (const [stream, revision] of revisions) {
    while ((await appliedRevision(db, stream)) < revision) {
      if (performance.now() > until) {
        throw notYetVisible();
      }
      await delay(LOOK_EVERY);
    }
  }
}

/** What a caller is told who asks to see what can't be read yet. */
export function notYetVisible(): ApiError {
  return new ApiError(409, 'not_yet_visible', 'What was asked for is written, and not yet to be read', {}, 1);
}
