import type pg from 'pg';
import { type Position, START, type Store } from '../../events/store.ts';
import { patiently } from '../log-access/patiently.ts';
import { EventAudit, type SoundEvent } from './event-audit.ts';
import { FactIndexAudit } from './fact-index-audit.ts';
import type { Findings } from './finding.ts';
import type { Progress } from './progress.ts';

/** Events at a time: an event is 256 KiB at the most. */
const PAGE = 500;

/**
 * Audits a log through the store contract, to its present end, and the index of claims and links that stands for it in
 * Postgres. `client` is in a transaction that sees one moment of the index, from before the log is read: what it knows by
 * then the log holds for sure.
 */
export async function auditStoreLog(
  { store, client }: { readonly store: Pick<Store, 'readAll' | 'readStreams'>; readonly client: pg.ClientBase },
  findings: Findings,
  onProgress: (progress: Progress) => void,
): Promise<void> {
  const events = new EventAudit(findings, { hasNumbers: false });
  const index = new FactIndexAudit({ client, store, findings });
  const progress = (): Progress => ({ events: events.events, streams: events.ends.size, ...index.counted });
  await index.begin();
  for (let after: Position = START; ; ) {
    const page = await patiently(() => store.readAll({ after, limit: PAGE }));
    const last = page.at(-1);
    if (last === undefined) break;
    if (last.position === after) throw new Error(`the log gives position ${after} again and again`);
    const sound: SoundEvent[] = [];
    for (const event of page) {
      const one = events.check({ ...event, streamKey: event.stream });
      if (one !== undefined) sound.push(one);
    }
    await index.checkPage(sound);
    onProgress(progress());
    after = last.position;
  }
  const indexed = await index.end(new Map([...events.ends].map(([stream, { revision }]) => [stream, revision])));
  onProgress({ ...progress(), unindexed: events.events - indexed });
}
