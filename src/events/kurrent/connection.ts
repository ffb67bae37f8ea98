import { Worker } from 'node:worker_threads';
import { type Position, StoreUnavailableError } from '../store.ts';
import type {
  AllRange,
  Answers,
  Asked,
  FromThread,
  Range,
  Read,
  Search,
  Sighting,
  ToThread,
  WireBatch,
  Written,
} from './protocol.ts';

/*
 * The connection to the server: one thread with one client. Where that has gone silent or has ended it is replaced, and
 * whoever waited is told that the answer is lost. The client's own faults end with its thread.
 */

/** In ms: the thread answers for a silent server after two seconds; one that takes longer is silent itself. */
const ANSWERS_WITHIN = 5_000;
/** A new thread takes a while to begin. */
const BEGINS_WITHIN = 20_000;
/** Questions that wait for their answer at the most. */
const MAX_WAITING = 1_000;
/**
 * Questions in a row that the server did not answer, until the client is replaced: it may be poisoned, or may have kept a
 * failure to find its leader for good.
 */
const FAILED_AT_MOST = 3;
/** In ms: no thread is replaced more often. */
const REPLACED_EVERY = 3_000;

/** What the server itself says of an append. */
const ANSWERED: ReadonlySet<Written['kind']> = new Set(['written', 'conflict', 'refused'] as const);

/** A thread runs no loader of its own accord: this begins with one, and then is the thread's entry. */
const BOOT = `import(require('node:worker_threads').workerData.tsx)
  .then(({ register }) => { register(); return import(require('node:worker_threads').workerData.entry); })`;

/** What is heard of a subscription. */
export type Listener = {
  readonly seen: (sightings: readonly Sighting[]) => void;
  readonly searched: (position: Position) => void;
  readonly dropped: (why: string) => void;
};

export type Subscription = { readonly taken: (count: number) => void; readonly stop: () => void };

type Waiting = { readonly resolve: (answer: never) => void; readonly lost: () => void; readonly timer: NodeJS.Timeout };

/** Speaks with the server through a thread, which it replaces where it must. Whoever makes it closes it. */
export class Connection {
  readonly #url: string;
  readonly #onTrouble: (what: string, error: unknown) => void;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Map<number, Listener>();
  #thread: Worker | undefined;
  #begunAt = Number.NEGATIVE_INFINITY;
  #failed = 0;
  #number = 0;
  /** What the last client ended with. */
  #ended: string | undefined;
  #closed = false;

  constructor({ url, onTrouble }: { url: string; onTrouble: (what: string, error: unknown) => void }) {
    this.#url = url;
    this.#onTrouble = onTrouble;
  }

  /** What the server says of itself, or why it doesn't; `hopeless` where asking again is no use. */
  async check(): Promise<Answers['check'] | { readonly why: string; readonly hopeless: true }> {
    try {
      return await this.#ask<'check'>({ ask: 'check' }, () => undefined);
    } catch {
      // A client that ends at once can't use its URL.
      return this.#ended === undefined ? { why: 'the client does not answer' } : { why: this.#ended, hopeless: true };
    }
  }

  /** Appends to many streams at once. Never rejects: what was lost on the way may have been written. */
  async append(batches: readonly WireBatch[]): Promise<readonly Written[]> {
    const lost = (): Written => ({ kind: 'maybe', why: 'the client was lost' });
    const written = await this.#ask<'append'>({ ask: 'append', batches }, () => undefined).catch(() => undefined);
    if (written === undefined) return batches.map(lost);
    this.#heard(written.some(({ kind }) => ANSWERED.has(kind)));
    return written;
  }

  /** Reads from many streams at once, each as it fares. Throws StoreUnavailableError where nothing can be read. */
  async read(ranges: readonly Range[]): Promise<readonly Read[]> {
    const read = await this.#ask({ ask: 'read', ranges }, () => new StoreUnavailableError('the client was lost while it read'));
    this.#heard(read.some((one) => 'events' in one));
    return read;
  }

  /** A piece of the whole log, the server's own events among it. Throws StoreUnavailableError where the client is lost. */
  async readAll(range: AllRange): Promise<Answers['read-all']> {
    const read = await this.#ask(
      { ask: 'read-all', range },
      () => new StoreUnavailableError('the client was lost while it read'),
    );
    this.#heard('events' in read);
    return read;
  }

  /** What stands behind a position under some prefixes. Throws StoreUnavailableError where the client is lost. */
  async search(search: Search): Promise<Answers['search']> {
    const found = await this.#ask(
      { ask: 'search', search },
      () => new StoreUnavailableError('the client was lost while it read'),
    );
    this.#heard('events' in found);
    return found;
  }

  /** Follows the log once, from behind a position, until it is dropped or stopped. */
  follow(after: Position | undefined, prefixes: readonly string[], listener: Listener): Subscription {
    if (this.#closed) {
      queueMicrotask(() => listener.dropped('the store is closed'));
      return { taken: () => undefined, stop: () => undefined };
    }
    const number = this.#next();
    this.#listeners.set(number, listener);
    const thread = this.#running();
    this.#post(thread, { kind: 'follow', number, after, prefixes });
    return {
      taken: (count) => this.#post(thread, { kind: 'taken', number, count }),
      stop: () => {
        this.#listeners.delete(number);
        this.#post(thread, { kind: 'unfollow', number });
      },
    };
  }

  /** Ends the thread. Whoever still waits is told that the answer is lost. */
  async close(): Promise<void> {
    this.#closed = true;
    const thread = this.#thread;
    this.#forget('the store was closed');
    await thread?.terminate();
  }

  #next(): number {
    this.#number += 1;
    return this.#number;
  }

  #ask<Ask extends Asked['ask']>(asked: Asked & { ask: Ask }, lost: () => Error | undefined): Promise<Answers[Ask]> {
    if (this.#closed) return Promise.reject(new StoreUnavailableError('the store is closed'));
    if (this.#waiting.size >= MAX_WAITING)
      return Promise.reject(new StoreUnavailableError('too much is asked of the log at once'));
    const thread = this.#running();
    const number = this.#next();
    return new Promise<Answers[Ask]>((resolve, reject) => {
      const isNew = performance.now() - this.#begunAt < BEGINS_WITHIN;
      const timer = setTimeout(() => this.#replace('the client has gone silent'), isNew ? BEGINS_WITHIN : ANSWERS_WITHIN);
      const giveUp = () => reject(lost() ?? new Error('lost'));
      this.#waiting.set(number, { resolve, lost: giveUp, timer });
      this.#post(thread, { kind: 'ask', number, asked });
    });
  }

  #post(thread: Worker, message: ToThread): void {
    if (thread === this.#thread) thread.postMessage(message);
  }

  #running(): Worker {
    if (this.#thread !== undefined) return this.#thread;
    const thread = new Worker(BOOT, {
      eval: true,
      execArgv: [],
      workerData: {
        tsx: import.meta.resolve('tsx/esm/api'),
        entry: new URL('./thread.ts', import.meta.url).href,
        url: this.#url,
      },
    });
    this.#thread = thread;
    this.#begunAt = performance.now();
    this.#failed = 0;
    thread.on('message', (message: FromThread) => this.#hear(message));
    const ended = (why: string, error?: unknown) => {
      if (this.#thread !== thread) return;
      this.#onTrouble(`the KurrentDB client has ended: ${why}`, error);
      this.#forget(why);
    };
    thread.once('error', (error) => {
      this.#ended = error instanceof Error ? error.message : String(error);
      ended('an error that nobody caught', error);
    });
    thread.once('exit', (code) => ended(`exit code ${code}`));
    return thread;
  }

  #hear(message: FromThread): void {
    switch (message.kind) {
      case 'answer': {
        const waiting = this.#waiting.get(message.number);
        this.#waiting.delete(message.number);
        clearTimeout(waiting?.timer);
        waiting?.resolve(message.answer as never);
        return;
      }
      case 'seen':
        this.#listeners.get(message.number)?.seen(message.sightings);
        return;
      case 'searched':
        this.#listeners.get(message.number)?.searched(message.position);
        return;
      case 'dropped': {
        const listener = this.#listeners.get(message.number);
        this.#listeners.delete(message.number);
        listener?.dropped(message.why);
        return;
      }
      case 'trouble':
        this.#onTrouble('the KurrentDB client left an error to nobody', message.why);
        return;
      default:
        message satisfies never;
    }
  }

  /** A server that is merely slow or starting answers now and then; with some clients nobody gets through any more. */
  #heard(isAnswered: boolean): void {
    this.#failed = isAnswered ? 0 : this.#failed + 1;
    if (this.#failed >= FAILED_AT_MOST) this.#replace('it has had no answer for a while');
  }

  #replace(why: string): void {
    const thread = this.#thread;
    if (thread === undefined || performance.now() - this.#begunAt < REPLACED_EVERY) return;
    this.#onTrouble(`the KurrentDB client is replaced: ${why}`, undefined);
    this.#forget(why);
    void thread.terminate();
  }

  /** Whoever waits for the thread is told; the next question begins another. */
  #forget(why: string): void {
    this.#thread = undefined;
    const waiting = [...this.#waiting.values()];
    const listeners = [...this.#listeners.values()];
    this.#waiting.clear();
    this.#listeners.clear();
    for (const { lost, timer } of waiting) {
      clearTimeout(timer);
      lost();
    }
    for (const { dropped } of listeners) dropped(why);
  }
}
