import { setTimeout as delay } from 'node:timers/promises';
import type { StoredEvent } from '../event-types.ts';
import {
  type Batch,
  type BatchFailure,
  type BatchResult,
  NO_STREAM,
  OutcomeUnknownError,
  StoreUnavailableError,
} from '../store.ts';
import type { Connection } from './connection.ts';
import type { FactFinder } from './fact-finder.ts';
import type { Names } from './names.ts';
import type { Written } from './protocol.ts';
import type { KurrentReader } from './reader.ts';

/** In ms: for how long a batch is sent again whose outcome isn't known, and how long to wait in between. */
const AGAIN_FOR = 2_500;
const AGAIN_AFTER = 50;
const AGAIN_AT_MOST = 20;
/** In bytes: an index entry of Postgres takes 2,704, and one name that it can't take would stop all that are written with it. */
const LONGEST_NAME = 2_000;
/** How many events a conflict brings back at the most. Who is further behind asks again. */
const MISSING_LIMIT = 1_000;

/** How often, and after how many ms, readers are asked for what a writer was refused for. */
const LOOKS = 50;
const LOOK_AFTER = 10;

type Parts = {
  readonly connection: Connection;
  readonly names: Names;
  readonly reader: KurrentReader;
  readonly facts: FactFinder;
};

type Result = BatchResult | BatchFailure;
type Refused = Extract<BatchResult, { accepted: false }>;

/*
 * An append. The server keeps a stream's events behind an expected revision and knows nothing of claims:
 *
 *   claims up to the expected revision (index, memory, tail) ─▶ one of them stands ─────────────────▶ refused
 *        │ none does                                                                                    ▲
 *        ▼                                                                                              │
 *   append behind that revision ──▶ written ─▶ accepted        conflict ─▶ are those ours? ─▶ no ───────┘
 *        ▲                │                                                      └─ yes ─▶ accepted
 *        └── not known ◀──┘ the same events again: their ids tell the server a repeat
 *
 * Whoever else claims the same writes behind that revision too, and so one of the two meets a conflict.
 */
export function kurrentAppend(parts: Parts): (batches: readonly Batch[]) => Promise<readonly Result[]> {
  return async (batches) => {
    const checked = await parts.facts.check(batches);
    const results: (Result | undefined)[] = batches.map((_, place) => {
      const check = checked[place];
      return check !== undefined && 'failed' in check ? check : undefined;
    });
    const free = batches.filter((_, place) => {
      const check = checked[place];
      return check !== undefined && 'claims' in check && check.claims.length === 0 && !check.contended;
    });
    const outcomes = new Map<Batch, Outcome>([
      ...(await writeAll(
        parts,
        free.filter(({ events }) => events.length > 0),
      )),
      ...(await confirmAll(
        parts,
        free.filter(({ events }) => events.length === 0),
      )),
    ]);
    return Promise.all(
      batches.map(async (batch, place): Promise<Result> => {
        const known = results[place];
        if (known !== undefined) return known;
        const check = checked[place];
        const contended = check !== undefined && 'contended' in check && check.contended;
        return finish(parts, batch, outcomes.get(batch) ?? { kind: 'conflict', head: NO_STREAM }, contended);
      }),
    );
  };
}

/** `head`: where the server's writer has seen the stream's head. */
type Outcome =
  | { readonly kind: 'written' }
  | { readonly kind: 'conflict'; readonly head: number }
  | { readonly kind: 'failed'; readonly error: Error };

/** Sends batches together, and again those of which nobody knows what became, until that is known or time is up. */
async function writeAll({ connection, names }: Parts, batches: readonly Batch[]): Promise<ReadonlyMap<Batch, Outcome>> {
  const outcomes = new Map<Batch, Outcome>();
  const doubtful = new Set<Batch>();
  const deadline = performance.now() + AGAIN_FOR;
  for (const batch of batches) {
    if (Buffer.byteLength(batch.stream) <= LONGEST_NAME) continue;
    outcomes.set(batch, { kind: 'failed', error: new Error('the name of a stream is too long for the index beside the log') });
  }
  let open = batches.filter((batch) => !outcomes.has(batch));
  for (let attempt = 1; open.length > 0; attempt += 1) {
    const written = await connection.append(open.map((batch) => toWire(names, batch)));
    const isOver = attempt >= AGAIN_AT_MOST || performance.now() > deadline;
    open = open.filter((batch, place) => {
      const result: Written = written[place] ?? { kind: 'maybe', why: 'no answer' };
      if (result.kind === 'written' || result.kind === 'conflict') {
        outcomes.set(batch, result);
        return false;
      }
      const { kind, why } = result;
      if (kind === 'refused') {
        outcomes.set(batch, { kind: 'failed', error: new Error(`KurrentDB can't take an append: ${why}`) });
        return false;
      }
      if (kind !== 'unavailable') doubtful.add(batch);
      if (!isOver) return true;
      const error = doubtful.has(batch)
        ? new OutcomeUnknownError(`KurrentDB did not say what became of an append: ${why}`)
        : new StoreUnavailableError(`KurrentDB refused an append: ${why}`);
      outcomes.set(batch, { kind: 'failed', error });
      return false;
    });
    if (open.length > 0) await delay(Math.min(AGAIN_AFTER * 2 ** (attempt - 1), 500));
  }
  return outcomes;
}

/** Where nothing is written the leader tells whether the head is where it was. */
async function confirmAll({ reader }: Parts, batches: readonly Batch[]): Promise<ReadonlyMap<Batch, Outcome>> {
  if (batches.length === 0) return new Map();
  const heads = await reader.heads(batches.map(({ stream }) => stream)).catch(() => []);
  return new Map(
    batches.map((batch, place): [Batch, Outcome] => {
      const head = heads[place];
      if (head === undefined) {
        return [batch, { kind: 'failed', error: new StoreUnavailableError(`the head of ${batch.stream} can't be confirmed`) }];
      }
      return [batch, head === batch.expectedRevision ? { kind: 'written' } : { kind: 'conflict', head }];
    }),
  );
}

async function finish(parts: Parts, batch: Batch, outcome: Outcome, contended: boolean): Promise<Result> {
  const accepted = { accepted: true, revision: batch.expectedRevision + batch.events.length } as const;
  switch (outcome.kind) {
    case 'failed':
      return { failed: outcome.error };
    case 'written':
      parts.facts.wrote(batch);
      return accepted;
    case 'conflict': {
      const learnt = await learn(parts, batch, outcome.head);
      if (learnt === undefined) return { failed: new OutcomeUnknownError(`what ${batch.stream} was extended by can't be read`) };
      if (!isOurs(batch, learnt.missing)) return { accepted: false, contended, ...learnt };
      // It was written by an earlier attempt, whose answer was lost.
      parts.facts.wrote(batch);
      return accepted;
    }
    default:
      return outcome satisfies never;
  }
}

/** What the caller didn't know; undefined where that can't be read now, and so not told whether it is the batch itself. */
async function learn(parts: Parts, batch: Batch, head: number): Promise<Pick<Refused, 'missing' | 'claimed'> | undefined> {
  const { reader, facts } = parts;
  const { stream, expectedRevision, events, unclaimed } = batch;
  const claims = [...events.flatMap((event) => event.claims), ...unclaimed];
  try {
    if (head > expectedRevision) {
      const missing = await readMissing(parts, batch, head);
      if (missing.length === 0) return undefined;
      // Up to the expected revision none of them stands: that was looked for before.
      return { missing, claimed: facts.heldBy(missing, { stream, after: expectedRevision, claims }) };
    }
    // In this order: a claim that is found late stands in an event that is missing, never the other way round.
    const claimed = await facts.findClaims(stream, claims);
    const missing = await reader.readStream(stream, { from: expectedRevision + 1, limit: MISSING_LIMIT });
    return { missing, claimed };
  } catch {
    return undefined;
  }
}

/** What stands behind a batch's expected revision, up to where the head was: one that runs on is not chased. */
async function readMissing({ reader }: Parts, { stream, expectedRevision }: Batch, head: number) {
  const limit = Math.min(head - expectedRevision, MISSING_LIMIT);
  for (let look = 0; look < LOOKS; look += 1) {
    const missing = await reader.readStream(stream, { from: expectedRevision + 1, limit });
    if (missing.length > 0) return missing;
    // The server refuses an append for the sake of an event that its readers don't see yet.
    await delay(LOOK_AFTER);
  }
  return [];
}

function isOurs({ events }: Batch, missing: readonly StoredEvent[]): boolean {
  return events.length > 0 && events.every(({ id }, place) => missing[place]?.id === id);
}

function toWire(names: Names, { stream, expectedRevision, events }: Batch) {
  return {
    stream: names.toServer(stream),
    expectedRevision,
    events: events.map(({ id, type, data, metadata, hash }) => ({ id, type, data, metadata, hash: hash.toString('base64url') })),
  };
}
