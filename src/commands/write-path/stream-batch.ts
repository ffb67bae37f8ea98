import { type LedgerEvent, UnreadableEventError } from '../../events/event-types.ts';
import { OutcomeUnknownError, StoreUnavailableError } from '../../events/store.ts';
import type { DecidedBatch } from './decide-batch.ts';
import { ClockSkewError, type Envelope, type Outcome } from './envelope.ts';
import { KnownFacts } from './known-facts.ts';

/** Commands of one stream in one batch at the most. */
const MAX_BATCH = 256;

/** A command that waits for its answer. */
export type Pending<State, Command, Event extends LedgerEvent> = {
  readonly envelope: Envelope<Command>;
  readonly resolve: (outcome: Outcome<State, Event>) => void;
  readonly reject: (error: Error) => void;
};

/** A command that waits, and whom to tell. Functions are handed in: a member written in place is named anew each time. */
export function pendingOf<State, Command, Event extends LedgerEvent>(
  envelope: Envelope<Command>,
  resolve: (outcome: Outcome<State, Event>) => void,
  reject: (error: Error) => void,
): Pending<State, Command, Event> {
  return { envelope, resolve, reject };
}

function asSent<State, Command, Event extends LedgerEvent>(
  pending: Pending<State, Command, Event>,
): Pending<State, Command, Event> {
  const { envelope, resolve, reject } = pending;
  const { key } = envelope;
  return key?.isOwn === true ? pendingOf({ ...envelope, key: { ...key, isOwn: false } }, resolve, reject) : pending;
}

/** The commands of a stream that are decided together, and what was decided. */
export class StreamBatch<State, Command, Event extends LedgerEvent> {
  readonly known = new KnownFacts<Event>();
  /** Whether this process has the turn on the stream, or has waited for it long enough. */
  hasTurn = false;
  readonly #mailbox: Pending<State, Command, Event>[];
  #taken: readonly Pending<State, Command, Event>[] = [];
  #decided: DecidedBatch<State, Event> | undefined;

  constructor(mailbox: Pending<State, Command, Event>[]) {
    this.#mailbox = mailbox;
  }

  get envelopes(): readonly Envelope<Command>[] {
    return this.#taken.map(({ envelope }) => envelope);
  }

  get decided(): DecidedBatch<State, Event> {
    if (this.#decided === undefined) throw new Error('nothing was decided yet');
    return this.#decided;
  }

  /** What is in the batch, or would be if it were taken now. */
  candidates(): readonly Envelope<Command>[] {
    return this.#taken.length > 0 ? this.envelopes : this.#mailbox.slice(0, MAX_BATCH).map(({ envelope }) => envelope);
  }

  /** Takes what waits, as far as it is ready. What was taken once stays together. */
  take(ready: (envelope: Envelope<Command>) => boolean): void {
    if (this.#taken.length > 0) return;
    const unready = this.#mailbox.findIndex(({ envelope }) => !ready(envelope));
    this.#taken = this.#mailbox.splice(0, Math.min(MAX_BATCH, unready === -1 ? MAX_BATCH : unready));
  }

  /** Keeps what was decided; commands for which there was no room wait on, first in line. */
  propose(decided: DecidedBatch<State, Event>): void {
    this.#decided = decided;
    this.#putBack(decided.outcomes.length);
  }

  /** Notes that what was taken may have been written: keys that were new are so no more, whichever batch decides them next. */
  doubt(): void {
    this.#taken = this.#taken.map(asSent);
  }

  /** Where one command of several can't be stored, the batch goes on with its first half. */
  halve(error: unknown): boolean {
    const aboutTheData = ![OutcomeUnknownError, StoreUnavailableError, ClockSkewError, UnreadableEventError].some(
      (kind) => error instanceof kind,
    );
    if (!aboutTheData || this.#taken.length < 2) return false;
    this.#putBack(Math.floor(this.#taken.length / 2));
    return true;
  }

  answer(): void {
    this.#taken.forEach(({ resolve, reject }, index) => {
      const outcome = this.decided.outcomes[index];
      if (outcome === undefined) reject(new Error('a command without an outcome'));
      else resolve(outcome);
    });
  }

  /** Refuses what was taken; where nothing was yet, all that waits: it would meet the same. */
  fail(error: unknown): void {
    const refused = this.#taken.length > 0 ? this.#taken : this.#mailbox.splice(0);
    const reason = error instanceof Error ? error : new Error('a command failed', { cause: error });
    for (const { reject } of refused) reject(reason);
  }

  #putBack(from: number): void {
    this.#mailbox.unshift(...this.#taken.slice(from));
    this.#taken = this.#taken.slice(0, from);
  }
}
