import { eventHash, eventId, NO_HASH } from '../../events/chain.ts';
import { type Recorded, isAccountEvent, readEvent, UnreadableEventError } from '../../events/event-types.ts';
import { legsOf } from '../../events/legs.ts';
import { NO_STREAM } from '../../events/store.ts';
import type { Findings } from './finding.ts';

/** A row of ledger.events as it is stored, with the name of its stream (null where there is no such stream). */
export type EventRow = {
  readonly position: string;
  readonly stream_id: string;
  readonly stream: string | null;
  readonly revision: string;
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
  readonly hash: Buffer;
};

/** An event that is what was hashed, and what it says of itself. */
export type SoundEvent = { readonly row: EventRow; readonly event: Recorded };

/** The end of a stream as far as it was read: a small record for each stream is all that the audit keeps. */
/** The balances of an account that the legs of its events make. */
const BALANCES = ['available', 'reserved', 'frozen', 'debt'] as const;

export type StreamEnd = {
  readonly revision: number;
  /** Of the last event, in base64url. */
  readonly hash: string;
  /** What its events' legs have made of it, in micro-credits; undefined where an event could not be believed. */
  readonly balances: { readonly [Name in (typeof BALANCES)[number]]: number } | undefined;
};

const BEFORE_FIRST: StreamEnd = {
  revision: NO_STREAM,
  hash: NO_HASH,
  balances: { available: 0, reserved: 0, frozen: 0, debt: 0 },
};

/**
 * Checks events one by one, in the order of the log: positions and revisions without a gap, each event what was
 * hashed and behind the one that it names, double entries that sum to zero and make the balances it carries. What
 * follows from a fault is not reported again: behind it, the next event's own word is taken.
 */
export class EventAudit {
  /** By the id of the stream's row. */
  readonly ends = new Map<string, StreamEnd>();
  readonly #findings: Findings;
  #nextPosition = 1;
  #events = 0;

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** How many events were checked. */
  get events(): number {
    return this.#events;
  }

  /** Checks the next event of the log. Returns it where its content can be believed. */
  check(row: EventRow): SoundEvent | undefined {
    this.#events += 1;
    this.#checkPosition(row);
    const { stream } = row;
    if (stream === null) {
      this.#findings.add(placeOf(row), `it belongs to no stream: there is none with the id ${row.stream_id}`);
      return undefined;
    }
    const before = this.ends.get(row.stream_id) ?? BEFORE_FIRST;
    const follows = this.#checkRevision(row, before);
    const event = this.#readSound({ ...row, stream });
    if (event !== undefined && follows && event.metadata.prevHash !== before.hash) {
      const said =
        Number(row.revision) === 0 ? 'it names an event before it' : 'the event before it has another hash than it names';
      this.#findings.add(placeOf(row), `it does not follow on what stands before it: ${said}`);
    }
    const balances = event === undefined ? undefined : this.#balancesAfter(row, event, follows ? before.balances : undefined);
    const revision = Number(row.revision);
    // One that stands behind a later one of its stream is no end of it.
    const isEnd = revision > before.revision;
    this.ends.set(
      row.stream_id,
      isEnd ? { revision, hash: row.hash.toString('base64url'), balances } : { ...before, balances: undefined },
    );
    return event && { row, event };
  }

  #checkPosition(row: EventRow): void {
    const position = Number(row.position);
    const missing = position - this.#nextPosition;
    if (missing < 0) this.#findings.add(placeOf(row), 'positions begin at 1');
    if (missing > 0) {
      const first = String(this.#nextPosition);
      const what =
        missing === 1 ? 'there is no event at this position' : `there are no events from here to position ${position - 1}`;
      this.#findings.add({ position: first }, `${what}: removed from the log`);
    }
    this.#nextPosition = Math.max(position, 0) + 1;
  }

  /** Whether the event stands right behind the one before it in its stream. */
  #checkRevision(row: EventRow, before: StreamEnd): boolean {
    const revision = Number(row.revision);
    const expected = before.revision + 1;
    if (revision > expected) {
      const upTo =
        revision - 1 === expected ? 'this revision is missing' : `revisions ${expected} to ${revision - 1} are missing`;
      this.#findings.add(
        { stream: row.stream, revision: expected },
        `${upTo}: the stream goes on with revision ${revision} at position ${row.position}`,
      );
    }
    if (revision < expected) this.#findings.add(placeOf(row), `it stands behind revision ${before.revision} of its stream`);
    return revision === expected;
  }

  /** The event, where its content is what was hashed and can be read. */
  #readSound(row: EventRow & { readonly stream: string }): Recorded | undefined {
    const { hash, id } = row;
    const stored = { ...row, revision: Number(row.revision) };
    if (id !== eventId(hash)) this.#findings.add(placeOf(row), 'its id is not the beginning of its hash');
    if (!eventHash(stored).equals(hash)) {
      this.#findings.add(placeOf(row), 'its content or place is not what was hashed');
      return undefined;
    }
    try {
      return readEvent(stored);
    } catch (error) {
      if (!(error instanceof UnreadableEventError)) throw error;
      this.#findings.add(placeOf(row), `it can't be read: ${error.message}`);
      return undefined;
    }
  }

  #balancesAfter(row: EventRow, event: Recorded, before: StreamEnd['balances']): StreamEnd['balances'] {
    if (!isAccountEvent(event)) return undefined;
    const { after } = event.data;
    const made: { [account: string]: number } = {};
    let sum = 0;
    for (const { account, amount } of legsOf(event)) {
      sum += amount;
      made[account] = (made[account] ?? 0) + amount;
    }
    if (sum !== 0) this.#findings.add(placeOf(row), `its double entry does not sum to zero but to ${sum} micro-credits`);
    if (before === undefined) return after;
    for (const name of BALANCES) {
      // What is owed is a negative balance of the ledger's.
      const moved = made[`${name}:${event.stream}`] ?? 0;
      const due = before[name] + (name === 'debt' ? -moved : moved);
      if (due < 0) this.#findings.add(placeOf(row), `it takes more than there is: ${name} would be ${due} micro-credits`);
      else if (due !== after[name]) {
        this.#findings.add(
          placeOf(row),
          `it says that ${name} is ${after[name]} micro-credits after it, its double entry makes it ${due}`,
        );
      }
    }
    return after;
  }
}

/** Where a row stands, for a finding. */
export function placeOf({ stream, revision, position }: Pick<EventRow, 'stream' | 'revision' | 'position'>) {
  return { stream, revision: Number(revision), position };
}
