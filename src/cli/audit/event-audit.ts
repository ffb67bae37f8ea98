import { eventHash, eventId, NO_HASH } from '../../events/chain.ts';
import { type Recorded, isAccountEvent, readEvent, UnreadableEventError } from '../../events/event-types.ts';
import { legsOf } from '../../events/legs.ts';
import { NO_STREAM } from '../../events/store.ts';
import type { Findings } from './finding.ts';

/** An event as it is stored, as whoever reads the log gives it to be checked. */
export type StoredRow = {
  readonly position: string;
  /** What tells its stream from others: the id of the stream's row, or its name. */
  readonly streamKey: string;
  /** Null where there is no such stream. */
  readonly stream: string | null;
  readonly revision: number;
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
  readonly hash: Buffer;
};

/** An event that is what was hashed, and what it says of itself. */
export type SoundEvent = { readonly row: StoredRow; readonly event: Recorded };

/** The balances of an account that the legs of its events make. */
const BALANCES = ['available', 'reserved', 'frozen', 'debt'] as const;

/** The end of a stream as far as it was read: a small record for each stream is all that the audit keeps. */
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
 * follows from a fault is not reported again: behind it, the next event's own word is taken. Positions are looked at
 * where they are consecutive numbers, as in Postgres alone.
 */
export class EventAudit {
  /** By the stream's key. */
  readonly ends = new Map<string, StreamEnd>();
  readonly #findings: Findings;
  readonly #hasNumbers: boolean;
  #nextPosition = 1;
  #events = 0;

  constructor(findings: Findings, { hasNumbers }: { readonly hasNumbers: boolean }) {
    this.#findings = findings;
    this.#hasNumbers = hasNumbers;
  }

  /** How many events were checked. */
  get events(): number {
    return this.#events;
  }

  /** Checks the next event of the log. Returns it where its content can be believed. */
  check(row: StoredRow): SoundEvent | undefined {
    this.#events += 1;
    if (this.#hasNumbers) this.#checkPosition(row);
    const { stream } = row;
    if (stream === null) {
      this.#findings.add(placeOf(row), `it belongs to no stream: there is none with the id ${row.streamKey}`);
      return undefined;
    }
    const before = this.ends.get(row.streamKey) ?? BEFORE_FIRST;
    const follows = this.#checkRevision(row, before);
    const event = this.#readSound({ ...row, stream });
    if (event !== undefined && follows && event.metadata.prevHash !== before.hash) {
      const said = row.revision === 0 ? 'it names an event before it' : 'the event before it has another hash than it names';
      this.#findings.add(placeOf(row), `it does not follow on what stands before it: ${said}`);
    }
    const balances = event === undefined ? undefined : this.#balancesAfter(row, event, follows ? before.balances : undefined);
    const { revision } = row;
    // One that stands behind a later one of its stream is no end of it.
    const isEnd = revision > before.revision;
    this.ends.set(
      row.streamKey,
      isEnd ? { revision, hash: row.hash.toString('base64url'), balances } : { ...before, balances: undefined },
    );
    return event && { row, event };
  }

  #checkPosition(row: StoredRow): void {
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
  #checkRevision(row: StoredRow, before: StreamEnd): boolean {
    const { revision } = row;
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
  #readSound(row: StoredRow & { readonly stream: string }): Recorded | undefined {
    const { hash, id } = row;
    if (id !== eventId(hash)) this.#findings.add(placeOf(row), 'its id is not the beginning of its hash');
    if (!eventHash(row).equals(hash)) {
      this.#findings.add(placeOf(row), 'its content or place is not what was hashed');
      return undefined;
    }
    try {
      return readEvent(row);
    } catch (error) {
      if (!(error instanceof UnreadableEventError)) throw error;
      this.#findings.add(placeOf(row), `it can't be read: ${error.message}`);
      return undefined;
    }
  }

  #balancesAfter(row: StoredRow, event: Recorded, before: StreamEnd['balances']): StreamEnd['balances'] {
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
export function placeOf({ stream, revision, position }: Pick<StoredRow, 'stream' | 'revision' | 'position'>) {
  return { stream, revision, position };
}
