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

/** The parameters of ledger.append(), in order. Arrays count from 1 there. */
function parameters(batches: readonly Batch[], unsorted: readonly Batch[]): Buffer[] {
  const places = placesOf(batches);
  // Events go into the log in the order in which they were given.
  const events = unsorted.flatMap(({ stream, events: some }) =>
    some.map((event) => ({ event, batch: (places.get(stream) ?? -1) + 1 })),
  );
  const claims = batches.flatMap((batch, index) => claimsOf(batch, index + 1));
  const links = batches.flatMap((batch, index) => linksOf(batch, index + 1));
  const lastOf = (batch: Batch) => batch.events[batch.events.length - 1];
  return [
    textArray(batches.map((batch) => batch.stream)),
    boolArray(batches.map((batch) => batch.hasTurn === true)),
    int8Array(batches.map((batch) => batch.expectedRevision)),
    int8Array(batches.map((batch) => lastOf(batch)?.revision ?? batch.expectedRevision)),
    byteaArray(batches.map((batch) => lastOf(batch)?.hash ?? null)),
    int4Array(events.map(({ batch }) => batch)),
    int8Array(events.map(({ event }) => event.revision)),
    uuidArray(events.map(({ event }) => event.id)),
    textArray(events.map(({ event }) => event.type)),
    textArray(events.map(({ event }) => event.data)),
    textArray(events.map(({ event }) => event.metadata)),
    byteaArray(events.map(({ event }) => event.hash)),
    int4Array(claims.map(({ batch }) => batch)),
    int8Array(claims.map(({ revision }) => revision)),
    byteaArray(claims.map(({ claim }) => Buffer.from(claim, 'base64url'))),
    int4Array(links.map(({ batch }) => batch)),
    int8Array(links.map(({ revision }) => revision)),
    int8Array(links.map(({ about }) => about)),
  ];
}

function placesOf(batches: readonly Batch[]): ReadonlyMap<string, number> {
  return new Map(batches.map(({ stream }, index) => [stream, index]));
}

/** What a batch claims, and what it only looks for. */
function claimsOf(batch: Batch, index: number): { batch: number; revision: number | null; claim: string }[] {
  return [
    ...batch.events.flatMap(({ claims, revision }) => claims.map((claim) => ({ batch: index, revision, claim }))),
    ...batch.unclaimed.map((claim) => ({ batch: index, revision: null, claim })),
  ];
}

/** One link for each revision that a batch is about: the last event about it counts. */
function linksOf(batch: Batch, index: number): { batch: number; revision: number; about: number }[] {
  const last = new Map<number, number>();
  for (const event of batch.events) for (const about of event.about) last.set(about, event.revision);
  return [...last].map(([about, revision]) => ({ batch: index, revision, about }));
}
