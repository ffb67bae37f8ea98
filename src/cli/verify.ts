import { pathToFileURL } from 'node:url';
import type pg from 'pg';
import { ConfigError, readConfig } from '../config.ts';
import { servicePool } from '../database.ts';
import type { Store } from '../events/store.ts';
import { type Finding, Findings, formatFinding, TooManyFindingsError } from './audit/finding.ts';
import { auditPostgresLog } from './audit/postgres-log.ts';
import type { Progress } from './audit/progress.ts';
import { auditStoreLog } from './audit/store-log.ts';
import { openLog } from './log-access/log-end.ts';

type Options = {
  readonly pool: pg.Pool;
  /** What keeps the log, where it isn't Postgres. */
  readonly store?: Pick<Store, 'readAll' | 'readStreams'> | undefined;
  readonly onProgress?: (progress: Progress) => void;
};

/** As `set local` takes it: how long the moment of Postgres is kept while a page of another store is read. */
const PATIENCE = '10min';

/**
 * Audits the whole log as it is stored: that no event was changed, moved, removed or put in, that claims, links and
 * heads say what the events say, and that every balance is what the double entries make it. Returns what is not so,
 * the first thousand findings at the most. Reads one snapshot of Postgres, so that the log may go on meanwhile; keeps a
 * small record of each stream in memory and a page of events.
 *
 * What leaves no trace here: who may write everything can cut off the end of the log together with the heads, claims
 * and links of what was cut, and can change the order in which events of *different* streams stand.
 */
export async function verify({ pool, store, onProgress = () => undefined }: Options): Promise<Finding[]> {
  const findings = new Findings();
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('begin transaction isolation level repeatable read read only');
    await client.query(`set local idle_in_transaction_session_timeout = '${PATIENCE}'`);
    if (store === undefined) await auditPostgresLog(client, findings, onProgress);
    else await auditStoreLog({ store, client }, findings, onProgress);
    await client.query('commit');
  } catch (error) {
    // The transaction ends with its connection, whatever became of it.
    failure = error instanceof Error ? error : new Error(String(error));
    if (!(error instanceof TooManyFindingsError)) throw error;
    findings.all.push({ stream: null, revision: null, position: null, problem: error.message });
  } finally {
    client.release(failure);
  }
  return findings.all;
}

/**
 * The command: prints every finding on a line, or what was gone through, of the log in KurrentDB where EVENTSTORE_URL is
 * set. Returns the exit code.
 */
async function main({ DATABASE_URL, EVENTSTORE_URL, EVENTSTORE_PREFIX }: NodeJS.ProcessEnv): Promise<number> {
  if (DATABASE_URL === undefined || DATABASE_URL === '') {
    process.stderr.write('DATABASE_URL is not set: it names the database whose log is to be verified\n');
    return 2;
  }
  try {
    const { databaseUrl, eventStoreUrl, eventStorePrefix } = readConfig({ DATABASE_URL, EVENTSTORE_URL, EVENTSTORE_PREFIX });
    if (eventStoreUrl === undefined) return await report(databaseUrl);
    const end = await openLog({ url: eventStoreUrl, prefix: eventStorePrefix }, { databaseUrl, onTrouble: tell });
    try {
      return await report(databaseUrl, end.store);
    } finally {
      await end.close();
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(error instanceof ConfigError ? `${message}\n` : `The log can't be verified: ${message}\n`);
    return 2;
  }
}

/** Verifies and says what was found. Returns the exit code. */
async function report(url: string, store?: Store): Promise<number> {
  const pool = servicePool(url, 'verify', 1);
  let done: Progress = { events: 0, streams: 0, claims: 0, links: 0 };
  try {
    const findings = await verify({
      pool,
      store,
      onProgress: (progress) => {
        done = progress;
        if (process.stderr.isTTY) process.stderr.write(`\r${progress.events} events`);
      },
    });
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
    for (const finding of findings) process.stdout.write(`${formatFinding(finding)}\n`);
    const through = `${done.events} events in ${done.streams} streams, ${done.claims} claims, ${done.links} links`;
    process.stdout.write(
      findings.length === 0 ? `The log is as it was written: ${through}.\n` : `${findings.length} findings: ${through}.\n`,
    );
    const { unindexed = 0 } = done;
    if (unindexed > 0) process.stdout.write(`${unindexed} events are not in the index of claims and links yet.\n`);
    return findings.length === 0 ? 0 : 1;
  } finally {
    await pool.end();
  }
}

function tell(what: string): void {
  process.stderr.write(`${what}\n`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = await main(process.env);
