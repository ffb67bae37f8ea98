import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js';
import type { KurrentNode } from './node.ts';
import type { LoggedEvent } from './records.ts';
import type { Position } from './wire-events.ts';

/* How a server walks through a stream or the whole log: in pages of 32 events, over as much of the log as it shows. */

export const PAGE = 32;

export type EventFilter = {
  accepts(event: LoggedEvent): boolean;
  /** How many events one page looks at, whether they are accepted or not. */
  readonly window: number;
  /** After how many events that were looked at a checkpoint is due. */
  readonly checkpointEvery: number;
};

/** The filter that a reader asks for; undefined where all is wanted. Throws where the server does. */
export function filterBy(options: ReadReq.Options): EventFilter | undefined {
  const asked = options.getFilter();
  if (asked === undefined) return undefined;
  const byType = asked.hasEventType();
  const expression = byType ? asked.getEventType() : asked.getStreamIdentifier();
  if (expression === undefined) throw new Error('A filter on nothing.');
  const prefixes = expression.getPrefixList();
  const regex = expression.getRegex() === '' ? undefined : new RegExp(expression.getRegex());
  const window = asked.hasMax() ? asked.getMax() : PAGE;
  const multiplier = asked.getCheckpointintervalmultiplier();
  if (multiplier === 0) throw new Error('A checkpoint never.');
  return {
    accepts(event) {
      const text = byType ? event.type : event.stream;
      return regex === undefined ? prefixes.some((prefix) => text.startsWith(prefix)) : regex.test(text);
    },
    window,
    checkpointEvery: window * multiplier,
  };
}

/** Where a reader of `$all` stands: before the record with this number, which it calls by that position. */
export type AllCursor = { readonly index: number; readonly position: Position };

export type AllPage = {
  readonly events: readonly LoggedEvent[];
  readonly next: AllCursor;
  readonly considered: number;
  readonly end: boolean;
};

export function allPage(node: KurrentNode, cursor: AllCursor, filter: EventFilter | undefined): AllPage {
  const { limit } = node.view;
  const window = filter?.window ?? Number.POSITIVE_INFINITY;
  const events: LoggedEvent[] = [];
  let { index, position } = cursor;
  let considered = 0;
  while (events.length < PAGE && considered < window) {
    const record = node.log.records[index];
    if (record === undefined || index >= limit) return { events, next: { index, position }, considered, end: true };
    index += 1;
    if (record.hidden) continue;
    considered += 1;
    if (filter === undefined || filter.accepts(record)) events.push(record);
    // What comes next is named by where this one ends, with nothing prepared: so checkpoints can have a prepare of 0.
    position = { commit: record.end, prepare: 0n };
  }
  return { events, next: { index, position }, considered, end: false };
}

/** Where a position of `$all` leads; undefined where it lies within a record. */
export function cursorAt(node: KurrentNode, position: Position): AllCursor | undefined {
  const index = node.log.indexAt(position.commit);
  return index === undefined ? undefined : { index, position };
}

/** The cursor at the start of the log, as the server names it. */
export const START: AllCursor = { index: 0, position: { commit: 0n, prepare: 0n } };

/** The events before a position, backwards. What ends there is among them, if its end is prepared as well. */
export function* allBackwards(
  node: KurrentNode,
  position: Position | 'end',
  filter: EventFilter | undefined,
): Generator<LoggedEvent> {
  const { limit } = node.view;
  const end = position === 'end' ? limit : Math.min(limit, node.log.indexAt(position.commit) ?? limit);
  for (let index = end - 1; index >= 0; index--) {
    const record = node.log.records[index];
    if (record === undefined || record.hidden || (filter !== undefined && !filter.accepts(record))) continue;
    if (position !== 'end' && record.end === position.commit && position.prepare < record.end) continue;
    yield record;
  }
}

/** The events from a cursor on, as far as the log goes by the time they are asked for. */
export function* allForwards(node: KurrentNode, from: AllCursor, filter: EventFilter | undefined): Generator<LoggedEvent> {
  let page = allPage(node, from, filter);
  for (;;) {
    yield* page.events;
    if (page.end) return;
    page = allPage(node, page.next, filter);
  }
}

export type StreamPage =
  | { readonly kind: 'missing' }
  | { readonly kind: 'tombstoned' }
  | { readonly kind: 'events'; readonly events: readonly LoggedEvent[]; readonly next: number; readonly end: boolean };

export function streamPage(node: KurrentNode, stream: string, from: number): StreamPage {
  const standing = node.log.standing(stream);
  if (standing === 'missing' || standing === 'tombstoned') return { kind: standing };
  const { limit } = node.view;
  const all = node.log.stream(stream);
  const first = all[0];
  if (first === undefined || first.index >= limit) return { kind: 'missing' };
  const start = Math.max(from, standing.from);
  const events = all.slice(start, start + PAGE).filter(({ index }) => index < limit);
  const next = events.length === 0 ? from : start + events.length;
  const following = all[next];
  return { kind: 'events', events, next, end: following === undefined || following.index >= limit };
}
