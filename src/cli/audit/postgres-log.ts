import type pg from 'pg';
import { EventAudit, type SoundEvent, type StoredRow } from './event-audit.ts';
import type { Findings } from './finding.ts';
import { checkClaims, checkClaimsOf, checkHeads, checkLinks, checkLinksOf } from './index-audit.ts';
import type { Progress } from './progress.ts';

/** Events at a time: an event is 256 KiB at the most. */
const PAGE = 500;

/** A row of ledger.events, with the name of its stream. */
type EventRow = Omit<StoredRow, 'streamKey' | 'revision'> & { readonly stream_id: string; readonly revision: string };

/**
 * Audits a log in Postgres, row by row as it stands in its tables, with the claims, links and heads beside it. `client` is
 * in a transaction that sees one moment of the database.
 */
export async function auditPostgresLog(
  client: pg.ClientBase,
  findings: Findings,
  onProgress: (progress: Progress) => void,
): Promise<void> {
  const events = new EventAudit(findings, { hasNumbers: true });
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
    for (const { stream_id: streamKey, revision, ...row } of rows) {
      const one = events.check({ ...row, streamKey, revision: Number(revision) });
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
