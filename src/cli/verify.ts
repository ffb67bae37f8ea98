import { pathToFileURL } from 'node:url';
import type pg from 'pg';
import { servicePool } from '../database.ts';
import { EventAudit, type EventRow, type SoundEvent } from './audit/event-audit.ts';
import { type Finding, Findings, formatFinding, TooManyFindingsError } from './audit/finding.ts';
import { checkClaims, checkClaimsOf, checkHeads, checkLinks, checkLinksOf } from './audit/index-audit.ts';

/** How far the audit has come, or what it went through when it is done. */
export type Progress = { readonly events: number; readonly streams: number; readonly claims: number; readonly links: number };

type Options = { readonly pool: pg.Pool; readonly onProgress?: (progress: Progress) => void };

/** Events at a time: an event is 256 KiB at the most. */
const PAGE = 500;

/**
 * Audits the whole log as it is stored: that no event was changed, moved, removed or put in, that claims, links and
 * heads say what the events say, and that every balance is what the double entries make it. Returns what is not so,
 * the first thousand findings at the most. Reads one snapshot, so that the log may go on meanwhile; keeps a small
 * record of each stream in memory and a page of events.
 *
 * What leaves no trace here: who may write everything can cut off the end of the log together with the heads, claims
 * and links of what was cut, and can change the order in which events of *different* streams stand.
 */
export async function verify({ pool, onProgress = () => undefined }: Options): Promise<Finding[]> {
  const findings = new Findings();
  const client = await pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('begin transaction isolation level repeatable read read only');
    await audit(client, findings, onProgress);
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

async function audit(client: pg.ClientBase, findings: Findings, onProgress: (progress: Progress) => void): Promise<void> {
  const events = new EventAudit(findings);
  const progress = (claims: number, links: number): Progress => ({
    events: events.events,
    streams: events.ends.size,
    claims,
    links,
  });
  // Behind the smallest number there is, and not behind 0, so that nothing hides before the first position.
  for (let after = '-9223372036854775808'; ; ) {
    const { rows } = await client.query<EventRow>(
      `select e.position, e.stream_id, s.name as stream, e.revision, e.id, e.type, e.data, e.metadata, e.hash
       from ledger.events e left join ledger.streams s on s.id = e.stream_id
       where e.position > $1 order by e.position limit ${PAGE}`,
      [after],
    );
    const last = rows.at(-1);
    if (last === undefined) break;
    const sound: SoundEvent[] = [];
    for (const row of rows) {
      const one = events.check(row);
      if (one !== undefined) sound.push(one);
    }
    await checkClaimsOf(client, sound, findings);
    await checkLinksOf(client, sound, findings);
    onProgress(progress(0, 0));
    after = last.position;
  }
  await checkHeads(client, events.ends, findings);
  const claims = await checkClaims(client, findings);
  const links = await checkLinks(client, findings);
  onProgress(progress(claims, links));
}

/** The command: prints every finding on a line, or what was gone through. Returns the exit code. */
async function main(url: string | undefined): Promise<number> {
  if (url === undefined || url === '') {
    process.stderr.write('DATABASE_URL is not set: it names the database whose log is to be verified\n');
    return 2;
  }
  const pool = servicePool(url, 'verify', 1);
  let done: Progress = { events: 0, streams: 0, claims: 0, links: 0 };
  try {
    const findings = await verify({
      pool,
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
    return findings.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`The log can't be verified: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  } finally {
    await pool.end();
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) process.exitCode = await main(process.env['DATABASE_URL']);
