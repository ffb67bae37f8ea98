import { z } from 'zod';

/** Who acted: a user with a token, a service with a key for an app, or the ledger itself. */
export const actorSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('user'), user: z.string() }),
  z.object({ kind: z.literal('service'), app: z.string(), key: z.string() }),
  z.object({ kind: z.literal('system'), name: z.string() }),
]);

export type Actor = z.infer<typeof actorSchema>;

/** What the ledger notes beside every event. */
export const metadataSchema = z.object({
  /** Revisions of earlier events of this stream that this one settles, refunds, freezes or revokes. */
  about: z.array(z.int().nonnegative()),
  actor: actorSchema,
  /** When it was decided, by the database's clock; never goes back within a stream. */
  at: z.iso.datetime(),
  /** The id of the event that made this command, null for a request from outside. */
  causationId: z.string().nullable(),
  /** What is unique in this stream, each a hash in base64url; see claims.ts. */
  claims: z.array(z.string()),
  commandId: z.string(),
  correlationId: z.string(),
  idempotencyKey: z.string().nullable(),
  /** The hash of the event before this one in its stream, in base64url; empty in the first. */
  prevHash: z.string(),
  /** HMAC over the command's type and body, as `version.digest`; null for the system's own events. */
  requestHash: z.string().nullable(),
  /** The version of the data's schema. */
  schema: z.int().positive(),
});

export type Metadata = z.infer<typeof metadataSchema>;

/** The app in whose name an actor acts. */
export function appOf(actor: Actor): string {
  switch (actor.kind) {
    case 'user':
      return 'user';
    case 'service':
      return actor.app;
    case 'system':
      return 'system';
    default:
      return actor satisfies never;
  }
}
