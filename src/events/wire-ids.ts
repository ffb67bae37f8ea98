/**
 * Ids on the wire name the stream and revision of their durable event, so that a route resolves one without asking a
 * read model. `rsv_42_account-u1` is the hold made by event 42 of account u1. A stream name with characters that a
 * URL would have to escape stands in base64url behind a `~`.
 */

export type EventRef = { readonly stream: string; readonly revision: number };

type Kind = 'rsv' | 'txn';

const PLAIN = /^[A-Za-z0-9._-]+$/;

/** The id under which callers know a hold (`rsv`) or a transaction (`txn`). */
export function wireId(kind: Kind, { stream, revision }: EventRef): string {
  const name = PLAIN.test(stream) ? stream : `~${Buffer.from(stream, 'utf8').toString('base64url')}`;
  return `${kind}_${revision}_${name}`;
}

/** The event that an id names; undefined where it is no id of that kind. */
export function parseWireId(kind: Kind, id: string): EventRef | undefined {
  const match = /^([a-z]{3})_(0|[1-9]\d{0,14})_(~?)([A-Za-z0-9._-]+)$/.exec(id);
  if (match === null || match[1] !== kind) return undefined;
  const [, , revision, encoded, name = ''] = match;
  const stream = encoded === '' ? name : Buffer.from(name, 'base64url').toString('utf8');
  if (stream.includes('\0')) return undefined;
  const ref = { stream, revision: Number(revision) };
  // One event has one id: another spelling of it, or bytes that are no text, name nothing.
  return wireId(kind, ref) === id ? ref : undefined;
}
