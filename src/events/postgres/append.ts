import pg from 'pg';
import { type Batch, OutcomeUnknownError, StoreUnavailableError } from '../store.ts';
import { boolArray, byteaArray, int4Array, int8Array, textArray, uuidArray } from './binary-arrays.ts';

/** What ledger.append() says of each batch: whether it was taken, and whether somebody else had the stream's turn. */
export type Appended = readonly { readonly accepted: boolean; readonly contended: boolean }[];

const STATEMENT = 'select * from ledger.append($1,$2,$3,$4,$5, $6,$7,$8,$9,$10,$11,$12, $13,$14,$15, $16,$17,$18)';

/**
 * Runs ledger.append() on one connection. Throws StoreUnavailableError where nothing was written and the same group
 * may go through later, OutcomeUnknownError where it may have been written, and Postgres' own error where something
 * in the group can't be stored.
 */
export async function appendGroup(pool: pg.Pool, unsorted: readonly Batch[]): Promise<Appended> {
  // Every writer locks heads in this order, so that none waits for another in a circle.
  const batches = unsorted.toSorted((a, b) => (a.stream < b.stream ? -1 : 1));
  const values = parameters(batches, unsorted);
  const client = await connect(pool);
  let failure: Error | undefined;
  try {
    const { rows } = await client.query<{ accepted: boolean[]; contended: boolean[] }>({
      name: 'append',
      text: STATEMENT,
      values,
    });
    const row = rows[0];
    const places = placesOf(batches);
    return unsorted.map(({ stream }) => {
      const index = places.get(stream) ?? -1;
      return { accepted: row?.accepted[index] === true, contended: row?.contended[index] === true };
    });
  } catch (error) {
    failure = classify(error);
    throw failure;
  } finally {
    client.release(failure instanceof OutcomeUnknownError ? failure : undefined);
  }
}

async function connect(pool: pg.Pool): Promise<pg.PoolClient> {
  try {
    return await pool.connect();
  } catch (error) {
    throw new StoreUnavailableError('no connection to Postgres', { cause: error });
  }
}

/**
 * SQLSTATE classes that speak of the data in this very group: bad values, violated constraints, limits of the program.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const POISON = /^(?:22|23|54)/;

function classify(error: unknown): Error {
  if (!(error instanceof pg.DatabaseError) || error.severity !== 'ERROR') {
    return new OutcomeUnknownError('the connection was lost during an append', { cause: error });
  }
  // With ERROR the server has rolled the statement back; only FATAL and silence leave its end open.
  if (POISON.test(error.code ?? '')) return error;
  return new StoreUnavailableError(`Postgres refused an append: ${error.message}`, { cause: error });
}

/** The parameters of ledger.append(), in order. Arrays count from 1 there. `batches` are sorted, `unsorted` as given. */
function parameters(batches: readonly Batch[], unsorted: readonly Batch[]): Buffer[] {
  const streams: string[] = [];
  const turns: boolean[] = [];
  const expected: number[] = [];
  const heads: number[] = [];
  const headHashes: (Buffer | null)[] = [];
  for (const { stream, hasTurn, expectedRevision, events } of batches) {
    const last = events[events.length - 1];
    streams.push(stream);
    turns.push(hasTurn === true);
    expected.push(expectedRevision);
    heads.push(last?.revision ?? expectedRevision);
    headHashes.push(last?.hash ?? null);
  }
  const places = placesOf(batches);
  return [
    textArray(streams),
    boolArray(turns),
    int8Array(expected),
    int8Array(heads),
    byteaArray(headHashes),
    ...eventsOf(unsorted, places),
    ...claimsOf(batches),
    ...linksOf(batches),
  ];
}

function placesOf(batches: readonly Batch[]): ReadonlyMap<string, number> {
  return new Map(batches.map(({ stream }, index) => [stream, index]));
}

/** Events go into the log in the order in which they were given. */
function eventsOf(unsorted: readonly Batch[], places: ReadonlyMap<string, number>): Buffer[] {
  const batches: number[] = [];
  const revisions: number[] = [];
  const ids: string[] = [];
  const types: string[] = [];
  const data: string[] = [];
  const metadata: string[] = [];
  const hashes: Buffer[] = [];
  for (const { stream, events } of unsorted) {
    const batch = (places.get(stream) ?? -1) + 1;
    for (const event of events) {
      batches.push(batch);
      revisions.push(event.revision);
      ids.push(event.id);
      types.push(event.type);
      data.push(event.data);
      metadata.push(event.metadata);
      hashes.push(event.hash);
    }
  }
  return [
    int4Array(batches),
    int8Array(revisions),
    uuidArray(ids),
    textArray(types),
    textArray(data),
    textArray(metadata),
    byteaArray(hashes),
  ];
}

/** What the batches claim, and what they only look for. */
function claimsOf(batches: readonly Batch[]): Buffer[] {
  const places: number[] = [];
  const revisions: (number | null)[] = [];
  const claims: Buffer[] = [];
  const add = (index: number, revision: number | null, claim: string) => {
    places.push(index + 1);
    revisions.push(revision);
    claims.push(Buffer.from(claim, 'base64url'));
  };
  for (const [index, { events, unclaimed }] of batches.entries()) {
    for (const event of events) for (const claim of event.claims) add(index, event.revision, claim);
    for (const claim of unclaimed) add(index, null, claim);
  }
  return [int4Array(places), int8Array(revisions), byteaArray(claims)];
}

/** One link for each revision that a batch is about: the last event about it counts. */
function linksOf(batches: readonly Batch[]): Buffer[] {
  const places: number[] = [];
  const revisions: number[] = [];
  const abouts: number[] = [];
  for (const [index, { events }] of batches.entries()) {
    const last = new Map<number, number>();
    for (const event of events) for (const about of event.about) last.set(about, event.revision);
    for (const [about, revision] of last) {
      places.push(index + 1);
      revisions.push(revision);
      abouts.push(about);
    }
  }
  return [int4Array(places), int8Array(revisions), int8Array(abouts)];
}
