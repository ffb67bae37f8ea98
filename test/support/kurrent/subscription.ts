import { randomUUID } from 'node:crypto';
import type { ReadReq } from '@eventstore/db-client/generated/streams_pb.js';
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { KurrentNode } from './node.ts';
import { Outbox } from './outbox.ts';
import { type AllCursor, allPage, cursorAt, type EventFilter, START, streamPage } from './pages.ts';
import { DELETED_REVISION, type LoggedEvent } from './records.ts';
import { handlerFailed, streamDeleted, timedOut } from './wire-errors.ts';
import { caughtUp, checkpointAt, confirmation, eventAnswer, fellBehind, type Position, type ReadAnswer } from './wire-events.ts';

/*
 * A subscription, in the three steps of the real server:
 *
 *   catch up   reads pages and waits for the reader, until a page is the last
 *   transition is told of new events from here on, and passes on what was written since that page, without waiting
 *   live       passes on what it is told of
 *
 * While it doesn't wait, events are held back in two queues, of 32 each; when they are full the subscription ends, and the
 * reader is told that it was too slow. Queues are passed on before the end, so such a reader first gets what is in them.
 */

const MISSING_POLL_MS = 50;

type Call = ServerWritableStream<ReadReq, ReadAnswer>;

/** One page of what is subscribed to, and the cursor after it. */
type Page<Cursor> =
  | { readonly kind: 'missing' }
  | { readonly kind: 'tombstoned' }
  | {
      readonly kind: 'events';
      readonly events: readonly LoggedEvent[];
      readonly next: Cursor;
      readonly end: boolean;
      /** A checkpoint that is due after the events. */
      readonly checkpoint?: Position | undefined;
    };

/** What is subscribed to. `accepts` says of a live event whether it is passed on, and which checkpoint follows it. */
type Source<Cursor> = {
  /** `counted` is whether what the page looks at counts towards the next checkpoint. */
  page(cursor: Cursor, counted: boolean): Page<Cursor>;
  live(event: LoggedEvent): { readonly pass: boolean; readonly checkpoint?: Position };
};

export function subscribe(
  node: KurrentNode,
  call: Call,
  options: ReadReq.Options,
  stream: string,
  filter: EventFilter | undefined,
  cutAfter: number,
): void {
  if (options.hasAll()) {
    const start = allStart(node, options);
    if (start === 'invalid') return void call.emit('error', handlerFailed());
    return new Subscription(node, call, stream, allSource(node, filter), cutAfter).start(start);
  }
  const asked = options.getStream();
  if (asked === undefined) return void call.emit('error', handlerFailed());
  const after = asked.hasStart() || asked.hasEnd() ? -1n : BigInt(asked.getRevision());
  const subscription = new Subscription(node, call, stream, streamSource(node, stream, after), cutAfter);
  return subscription.start(asked.hasEnd() ? 'end' : Number(after) + 1);
}

/** The given position is passed over, with whatever event stands at it. */
function allStart(node: KurrentNode, options: ReadReq.Options): AllCursor | 'end' | 'invalid' {
  const all = options.getAll();
  if (all?.hasEnd() === true) return 'end';
  const given = all?.getPosition();
  if (given === undefined) return START;
  const position = { commit: BigInt(given.getCommitPosition()), prepare: BigInt(given.getPreparePosition()) };
  const cursor = position.prepare > position.commit ? undefined : cursorAt(node, position);
  if (cursor === undefined) return 'invalid';
  if (position.commit === 0n) return START;
  for (let { index } = cursor; index < node.view.limit; index++) {
    const record = node.log.records[index];
    if (record?.hidden === false) return { index: index + 1, position: { commit: record.end, prepare: 0n } };
  }
  return cursor;
}

function allSource(node: KurrentNode, filter: EventFilter | undefined): Source<AllCursor> {
  let sinceCheckpoint = 0;
  return {
    page(cursor, counted) {
      const { events, next, considered, end } = allPage(node, cursor, filter);
      if (counted) sinceCheckpoint += considered;
      const due = filter !== undefined && counted && !end && sinceCheckpoint >= filter.checkpointEvery;
      if (!due) return { kind: 'events', events, next, end };
      sinceCheckpoint %= filter.checkpointEvery;
      // A page in which nothing was accepted is named by where it began.
      const last = events.at(-1)?.position;
      const checkpoint = last === undefined ? cursor.position : { commit: last, prepare: last };
      return { kind: 'events', events, next, end, checkpoint };
    },
    live(event) {
      const pass = filter === undefined || filter.accepts(event);
      if (filter === undefined) return { pass };
      sinceCheckpoint += 1;
      if (sinceCheckpoint < filter.checkpointEvery) return { pass };
      sinceCheckpoint = 0;
      return { pass, checkpoint: { commit: event.position, prepare: event.position } };
    },
  };
}

function streamSource(node: KurrentNode, stream: string, after: bigint): Source<number> {
  return {
    page: (from) => streamPage(node, stream, from),
    // What was asked to be passed over is, also when it is written only later.
    live: (event) => ({ pass: event.stream === stream && event.revision > after }),
  };
}

class Subscription<Cursor> {
  readonly #node: KurrentNode;
  readonly #stream: string;
  readonly #source: Source<Cursor>;
  readonly #outbox: Outbox;
  /** What came while live and found the outbox full. */
  readonly #live: { readonly answer: ReadAnswer; readonly isEvent: boolean }[] = [];
  #isLive = false;
  #confirmed = false;
  #sent = 0;
  #leave: () => void = () => {};
  readonly #unwatch: () => void;

  constructor(node: KurrentNode, call: Call, stream: string, source: Source<Cursor>, cutAfter: number) {
    this.#node = node;
    this.#stream = stream;
    this.#source = source;
    this.#outbox = new Outbox(call, () => node.faults.liveBuffer, {
      onRoom: () => this.#pump(),
      onEvent: () => {
        this.#sent += 1;
        if (this.#sent >= cutAfter) node.sockets.drop(call.getPeer());
      },
    });
    call.on('cancelled', () => this.#stop());
    this.#unwatch = node.faults.watch({
      stream,
      end: () => this.#finish('end'),
      tooSlow: () => this.#tooSlow(),
      fallBehind: () => {
        void this.#outbox.put(fellBehind(), false).then(() => this.#outbox.put(caughtUp(), false));
      },
    });
  }

  start(from: Cursor | 'end'): void {
    void (from === 'end' ? this.#goLive(undefined) : this.#catchUp(from));
  }

  async #catchUp(from: Cursor): Promise<void> {
    let cursor = from;
    while (!this.#outbox.closed) {
      const page = this.#source.page(cursor, true);
      if (page.kind === 'tombstoned') return this.#finish(streamDeleted(this.#stream));
      await this.#confirm();
      if (page.kind === 'missing') {
        await new Promise((resolve) => setTimeout(resolve, MISSING_POLL_MS).unref());
        continue;
      }
      for (const event of page.events) await this.#outbox.put(eventAnswer(event));
      cursor = page.next;
      if (page.end) return this.#goLive(cursor);
      if (page.checkpoint !== undefined) await this.#outbox.put(checkpointAt(page.checkpoint), false);
    }
    return undefined;
  }

  /** Takes up new events, after those that were written since the last page was read. */
  async #goLive(from: Cursor | undefined): Promise<void> {
    await this.#confirm();
    if (this.#outbox.closed) return;
    if (from !== undefined) this.#transition(from);
    if (this.#outbox.closed) return;
    this.#leave = this.#node.view.onCommit((events) => this.#take(events));
    await this.#outbox.put(caughtUp(), false);
    this.#isLive = true;
    this.#pump();
  }

  #transition(from: Cursor): void {
    for (let cursor = from; ; ) {
      const page = this.#source.page(cursor, false);
      if (page.kind !== 'events') return;
      for (const event of page.events) {
        if (!this.#outbox.offer(eventAnswer(event))) return this.#tooSlow();
      }
      if (page.end) return;
      cursor = page.next;
    }
  }

  async #confirm(): Promise<void> {
    if (this.#confirmed) return;
    this.#confirmed = true;
    await this.#outbox.put(confirmation(randomUUID()), false);
  }

  #take(events: readonly LoggedEvent[]): void {
    for (const event of events) {
      if (this.#outbox.closed) return;
      const { pass, checkpoint } = this.#source.live(event);
      if (pass) this.#pass(event);
      if (checkpoint !== undefined) this.#enqueue(checkpointAt(checkpoint), false);
    }
  }

  #pass(event: LoggedEvent): void {
    if (this.#node.faults.takeSlow(this.#stream)) return this.#tooSlow();
    this.#enqueue(eventAnswer(event), true);
    if (event.revision === DELETED_REVISION && this.#stream === event.stream) this.#finish(streamDeleted(this.#stream));
    return undefined;
  }

  #enqueue(answer: ReadAnswer, isEvent: boolean): void {
    if (this.#isLive && this.#live.length === 0 && this.#outbox.offer(answer, isEvent)) return;
    if (this.#live.length >= this.#node.faults.liveBuffer) this.#tooSlow();
    else this.#live.push({ answer, isEvent });
  }

  #pump(): void {
    for (let next = this.#live[0]; this.#isLive && next !== undefined; next = this.#live[0]) {
      if (!this.#outbox.offer(next.answer, next.isEvent)) return;
      this.#live.shift();
    }
  }

  #tooSlow(): void {
    const state = this.#isLive ? 'live' : 'transitioning to live';
    this.#finish(timedOut(`Consumer too slow to handle event while ${state}. Client resubscription required.`));
  }

  #finish(how: Parameters<Outbox['finish']>[0]): void {
    this.#leave();
    this.#unwatch();
    this.#outbox.finish(how);
  }

  #stop(): void {
    this.#leave();
    this.#unwatch();
    this.#outbox.close();
  }
}
