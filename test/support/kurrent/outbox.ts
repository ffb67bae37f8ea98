import type { ServerWritableStream } from '@grpc/grpc-js';
import type { CallError } from './wire-errors.ts';
import type { ReadAnswer } from './wire-events.ts';

/*
 * What waits in front of a subscription's call. A call takes answers only as fast as its reader does: HTTP/2 stops the
 * sender, then the few answers in flight stand still, then this queue fills, and whoever writes into it learns of it.
 */

type Entry = { readonly answer: ReadAnswer; readonly isEvent: boolean };

/** How many answers are on their way through the call at a time. */
const IN_FLIGHT_MAX = 16;

export class Outbox {
  readonly #call: ServerWritableStream<unknown, ReadAnswer>;
  readonly #capacity: () => number;
  readonly #onRoom: () => void;
  readonly #onEvent: () => void;
  readonly #queue: Entry[] = [];
  #waiting: (() => void)[] = [];
  #inFlight = 0;
  #ending: CallError | 'end' | undefined;
  #closed = false;

  /** `onEvent` is called for each event that is passed on, `onRoom` whenever there is place again. */
  constructor(
    call: ServerWritableStream<unknown, ReadAnswer>,
    capacity: () => number,
    { onRoom, onEvent }: { onRoom: () => void; onEvent: () => void },
  ) {
    this.#call = call;
    this.#capacity = capacity;
    this.#onRoom = onRoom;
    this.#onEvent = onEvent;
  }

  get closed(): boolean {
    return this.#closed || this.#ending !== undefined;
  }

  /** Takes an answer, or says that there is no room for it. */
  offer(answer: ReadAnswer, isEvent = true): boolean {
    if (this.closed) return true;
    if (this.#queue.length >= this.#capacity()) return false;
    this.#queue.push({ answer, isEvent });
    this.#flush();
    return true;
  }

  /** Takes an answer as soon as there is room. */
  async put(answer: ReadAnswer, isEvent = true): Promise<void> {
    while (!this.offer(answer, isEvent)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Ends the call after what is queued: cleanly, or with an error. */
  finish(how: CallError | 'end'): void {
    if (this.closed) return;
    this.#ending = how;
    this.#flush();
  }

  /** Lets go of everything: the reader is gone. */
  close(): void {
    this.#closed = true;
    this.#queue.length = 0;
    this.#wake();
  }

  #flush(): void {
    while (!this.#closed && this.#inFlight < Math.min(IN_FLIGHT_MAX, this.#capacity())) {
      const entry = this.#queue.shift();
      if (entry === undefined) break;
      this.#inFlight += 1;
      this.#call.write(entry.answer, () => this.#taken(entry));
    }
    if (this.#ending === undefined || this.#closed || this.#queue.length > 0) return;
    this.#closed = true;
    if (this.#ending === 'end') this.#call.end();
    else this.#call.emit('error', this.#ending);
    this.#wake();
  }

  #taken({ isEvent }: Entry): void {
    this.#inFlight -= 1;
    if (isEvent) this.#onEvent();
    this.#flush();
    if (this.#queue.length < this.#capacity()) {
      this.#wake();
      this.#onRoom();
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
