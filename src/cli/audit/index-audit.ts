import type pg from 'pg';
import { metadataSchema } from '../../events/metadata.ts';
import type { SoundEvent, StreamEnd } from './event-audit.ts';
import { placeOf } from './event-audit.ts';
import type { Findings } from './finding.ts';

/*
 * What the log keeps beside its events so that they are found: claims, links and the streams' heads. Each must say
 * what the events say, no less (checked with every page of events) and no more (checked row by row afterwards).
 */

const PAGE = 2_000;
const BEFORE_ALL = '-9223372036854775808';

type Named<Value> = SoundEvent & { readonly value: Value };

function named<Value>(events: readonly SoundEvent[], of: (one: SoundEvent) => readonly Value[]): readonly Named<Value>[] {
  return events.flatMap((one) => [...new Set(of(one))].map((value) => ({ ...one, value })));
}

/** Checks that what some events claim stands as theirs. */
export async function checkClaimsOf(client: pg.ClientBase, events: readonly SoundEvent[], findings: Findings): Promise<void> {
  const wanted = named(events, ({ event }) => event.metadata.claims);
  const { rows } = await client.query<{ ord: string; revision: string | null }>(
    `select w.ord, c.revision from unnest($1::bigint[], $2::bytea[]) with ordinality as w (stream_id, claim, ord)
     left join ledger.claims c on c.stream_id = w.stream_id and c.claim = w.claim`,
    [wanted.map(({ row }) => row.streamKey), wanted.map(({ value }) => Buffer.from(value, 'base64url'))],
  );
  for (const { ord, revision } of rows) {
    const one = wanted[Number(ord) - 1];
    if (one === undefined || (revision !== null && Number(revision) === one.row.revision)) continue;
    const what =
      revision === null ? 'does not stand among the claims' : `stands among the claims as that of revision ${revision}`;
    findings.add(placeOf(one.row), `its claim ${one.value} ${what}`);
  }
}

/** Checks that no event stands as the last about a revision when one of these came later. */
export async function checkLinksOf(client: pg.ClientBase, events: readonly SoundEvent[], findings: Findings): Promise<void> {
  const wanted = named(events, ({ event }) => event.metadata.about);
  const { rows } = await client.query<{ ord: string; revision: string | null }>(
    `select w.ord, l.revision from unnest($1::bigint[], $2::bigint[]) with ordinality as w (stream_id, about, ord)
     left join ledger.links l on l.stream_id = w.stream_id and l.about = w.about`,
    [wanted.map(({ row }) => row.streamKey), wanted.map(({ value }) => value)],
  );
  for (const { ord, revision } of rows) {
    const one = wanted[Number(ord) - 1];
    if (one === undefined || (revision !== null && Number(revision) >= one.event.revision)) continue;
    const what = revision === null ? 'no link says so' : `the link names the earlier revision ${revision}`;
    findings.add(placeOf(one.row), `it is about revision ${one.value}, but ${what}`);
  }
}

type ClaimRow = { stream_id: string; stream: string | null; claim: Buffer; revision: string; metadata: string | null };

/** Checks that every claim is one that its event makes. Returns how many there are. */
export async function checkClaims(client: pg.ClientBase, findings: Findings): Promise<number> {
  let count = 0;
  for (let after: readonly [string, Buffer] = [BEFORE_ALL, Buffer.alloc(0)]; ; ) {
    const { rows } = await client.query<ClaimRow>(
      `select c.stream_id, s.name as stream, c.claim, c.revision, e.metadata from ledger.claims c
       left join ledger.streams s on s.id = c.stream_id
       left join ledger.events e on e.stream_id = c.stream_id and e.revision = c.revision
       where (c.stream_id, c.claim) > ($1, $2) order by c.stream_id, c.claim limit ${PAGE}`,
      [...after],
    );
    for (const row of rows) {
      const claim = row.claim.toString('base64url');
      if (claimsIn(row.metadata).includes(claim)) continue;
      const what = row.metadata === null ? 'there is no such event' : 'the event does not make it';
      findings.add(
        { stream: row.stream, revision: Number(row.revision) },
        `the claim ${claim} stands as that of this revision, but ${what}`,
      );
    }
    const last = rows.at(-1);
    if (last === undefined) return count;
    count += rows.length;
    after = [last.stream_id, last.claim];
  }
}

type LinkRow = { stream_id: string; stream: string | null; about: string; revision: string; metadata: string | null };

/** Checks that every link names an event that is about the revision it says. Returns how many there are. */
export async function checkLinks(client: pg.ClientBase, findings: Findings): Promise<number> {
  let count = 0;
  for (let after: readonly [string, string] = [BEFORE_ALL, BEFORE_ALL]; ; ) {
    const { rows } = await client.query<LinkRow>(
      `select l.stream_id, s.name as stream, l.about, l.revision, e.metadata from ledger.links l
       left join ledger.streams s on s.id = l.stream_id
       left join ledger.events e on e.stream_id = l.stream_id and e.revision = l.revision
       where (l.stream_id, l.about) > ($1, $2) order by l.stream_id, l.about limit ${PAGE}`,
      [...after],
    );
    for (const row of rows) {
      if (aboutIn(row.metadata).includes(Number(row.about))) continue;
      const what = row.metadata === null ? 'there is no such event' : 'the event says nothing of it';
      const link = `a link names this revision as the last about revision ${row.about}`;
      findings.add({ stream: row.stream, revision: Number(row.revision) }, `${link}, but ${what}`);
    }
    const last = rows.at(-1);
    if (last === undefined) return count;
    count += rows.length;
    after = [last.stream_id, last.about];
  }
}

type HeadRow = { id: string; stream: string; revision: string; hash: Buffer | null };

/** Checks that every stream ends where its head says, so that nothing was cut off. Returns how many have events. */
export async function checkHeads(
  client: pg.ClientBase,
  ends: ReadonlyMap<string, StreamEnd>,
  findings: Findings,
): Promise<number> {
  for (let after = BEFORE_ALL; ; ) {
    const { rows } = await client.query<HeadRow>(
      `select id, name as stream, revision, hash from ledger.streams where id > $1 order by id limit ${PAGE}`,
      [after],
    );
    for (const head of rows) checkHead(head, ends.get(head.id), findings);
    const last = rows.at(-1);
    if (last === undefined) return ends.size;
    after = last.id;
  }
}

function checkHead({ stream, revision, hash }: HeadRow, end: StreamEnd | undefined, findings: Findings): void {
  const head = Number(revision);
  const last = end?.revision ?? -1;
  if (head > last) {
    const upTo = head === last + 1 ? 'this revision is missing' : `revisions ${last + 1} to ${head} are missing`;
    findings.add({ stream, revision: last + 1 }, `${upTo} at the end of the stream, whose head is at revision ${head}`);
  } else if (head < last) {
    findings.add({ stream, revision: head }, `the stream's head is at this revision, its last event at revision ${last}`);
  } else if ((hash?.toString('base64url') ?? '') !== (end?.hash ?? '')) {
    findings.add({ stream, revision: head }, `the stream's head has another hash than its last event`);
  }
}

/** Of an event that can't be read nothing is known; that it can't be is found elsewhere. */
const { claims: claimsSchema, about: aboutSchema } = metadataSchema.shape;

function claimsIn(metadata: string | null): readonly string[] {
  return claimsSchema.safeParse(memberOf(metadata, 'claims')).data ?? [];
}

function aboutIn(metadata: string | null): readonly number[] {
  return aboutSchema.safeParse(memberOf(metadata, 'about')).data ?? [];
}

function memberOf(metadata: string | null, name: string): unknown {
  try {
    return (JSON.parse(metadata ?? '{}') as Readonly<Record<string, unknown>> | null)?.[name];
  } catch {
    return undefined;
  }
}
