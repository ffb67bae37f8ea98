import sharedPb from '@eventstore/db-client/generated/shared_pb.js';
import type { UUID } from '@eventstore/db-client/generated/shared_pb.js';
import streamsPb from '@eventstore/db-client/generated/streams_pb.js';
import type { LoggedEvent, ProposedEvent } from './records.ts';

/* Events, positions and names as they stand on the wire. */

/** An answer of Read, serialised: an event goes out to many readers and is put into bytes once. */
export type ReadAnswer = Buffer;

export type Position = { readonly commit: bigint; readonly prepare: bigint };

/** What stands where the client expects bytes and the server a name. */
export function nameOf(identifier: { getStreamName_asU8(): Uint8Array } | undefined): string {
  return identifier === undefined ? '' : Buffer.from(identifier.getStreamName_asU8()).toString('utf8');
}

export function identifierOf(stream: string): InstanceType<typeof sharedPb.StreamIdentifier> {
  const identifier = new sharedPb.StreamIdentifier();
  identifier.setStreamName(Buffer.from(stream, 'utf8'));
  return identifier;
}

const SOME_GUID = /^\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/i;

/** The id in the one form that the server gives out; throws where it is none. */
export function idOf(uuid: UUID | undefined): string {
  const parts = SOME_GUID.exec(uuid?.getString() ?? '')?.slice(1);
  if (parts === undefined) throw new Error('Guid should contain 32 digits with 4 dashes (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx).');
  return parts.join('-').toLowerCase();
}

const NIL = '00000000-0000-0000-0000-000000000000';

type Proposal = {
  getId(): UUID | undefined;
  getMetadataMap(): { get(key: string): string | undefined };
  getData_asU8(): Uint8Array;
  getCustomMetadata_asU8(): Uint8Array;
};

/** The event that a client proposes; throws where the server does. */
export function proposalOf(message: Proposal): ProposedEvent {
  const id = idOf(message.getId());
  const type = message.getMetadataMap().get('type') ?? '';
  const contentType = message.getMetadataMap().get('content-type');
  if (id === NIL) throw new Error('Empty eventId provided.');
  if (type === '') throw new Error('Empty eventType provided.');
  if (contentType === undefined) throw new Error('The given key "content-type" was not present.');
  return {
    id,
    type,
    isJson: contentType === 'application/json',
    data: message.getData_asU8(),
    metadata: message.getCustomMetadata_asU8(),
  };
}

/**
 * What an event counts towards the size of an append. 23.10 counts the data alone by an oversight; the double counts as
 * the server means to, and later ones do.
 */
export function appendSize(event: ProposedEvent): number {
  return event.data.length + event.metadata.length + event.type.length * 2;
}

const sent = new WeakMap<LoggedEvent, ReadAnswer>();
const TICKS_PER_MILLISECOND = 10_000n;

export function eventAnswer(event: LoggedEvent): ReadAnswer {
  const known = sent.get(event);
  if (known !== undefined) return known;
  const recorded = new streamsPb.ReadResp.ReadEvent.RecordedEvent();
  const id = new sharedPb.UUID();
  id.setString(event.id);
  recorded.setId(id);
  recorded.setStreamIdentifier(identifierOf(event.stream));
  recorded.setStreamRevision(String(event.revision));
  recorded.setCommitPosition(String(event.position));
  recorded.setPreparePosition(String(event.position));
  const metadata = recorded.getMetadataMap();
  metadata.set('type', event.type);
  metadata.set('created', String(BigInt(event.created.getTime()) * TICKS_PER_MILLISECOND));
  metadata.set('content-type', event.isJson ? 'application/json' : 'application/octet-stream');
  recorded.setData(event.data);
  recorded.setCustomMetadata(event.metadata);
  const read = new streamsPb.ReadResp.ReadEvent();
  read.setEvent(recorded);
  read.setCommitPosition(String(event.position));
  const answer = new streamsPb.ReadResp();
  answer.setEvent(read);
  const bytes = Buffer.from(answer.serializeBinary());
  sent.set(event, bytes);
  return bytes;
}

function answerWith(fill: (answer: InstanceType<typeof streamsPb.ReadResp>) => unknown): ReadAnswer {
  const answer = new streamsPb.ReadResp();
  fill(answer);
  return Buffer.from(answer.serializeBinary());
}

export const confirmation = (id: string): ReadAnswer =>
  answerWith((answer) => {
    const confirmed = new streamsPb.ReadResp.SubscriptionConfirmation();
    confirmed.setSubscriptionId(id);
    answer.setConfirmation(confirmed);
  });

export const caughtUp = (): ReadAnswer => answerWith((answer) => answer.setCaughtUp(new streamsPb.ReadResp.CaughtUp()));

export const fellBehind = (): ReadAnswer => answerWith((answer) => answer.setFellBehind(new streamsPb.ReadResp.FellBehind()));

export const checkpointAt = ({ commit, prepare }: Position): ReadAnswer =>
  answerWith((answer) => {
    const checkpoint = new streamsPb.ReadResp.Checkpoint();
    checkpoint.setCommitPosition(String(commit));
    checkpoint.setPreparePosition(String(prepare));
    answer.setCheckpoint(checkpoint);
  });

export const streamNotFound = (stream: string): ReadAnswer =>
  answerWith((answer) => {
    const missing = new streamsPb.ReadResp.StreamNotFound();
    missing.setStreamIdentifier(identifierOf(stream));
    answer.setStreamNotFound(missing);
  });
