import type pg from 'pg';
import { LIVE, NEXT, type OtherGeneration, PREVIOUS } from '../../projections/generations.ts';
import { listParked } from '../../projections/rebuild.ts';
import { readAppliedPosition } from '../../projections/router-position.ts';
import { inSnapshot } from './compare.ts';
import { type Standing, standingOf } from './owner.ts';
import type { RebuildParts } from './parts.ts';

/** Parked streams that are named. */
const NAMED = 5;

/** Says which generations there are, how far each is, and what can be done next. */
export async function status(parts: RebuildParts): Promise<void> {
  const { owner, store, databases, pool, say } = parts;
  const standing = await standingOf(owner);
  say(`The log ends at position ${await store.lastPosition()}.`);
  say(`${LIVE}: live, applied up to position ${await readAppliedPosition(databases[LIVE])}${await parkedText(parts, LIVE)}`);
  for (const name of [NEXT, PREVIOUS] as const) {
    if (name === NEXT ? !standing.next : !standing.previous) continue;
    const behind = await inSnapshot(pool, (client) => behindCount(client, name));
    const how = name === NEXT && !standing.fed ? await fillingText(parts) : 'fed by the projectors';
    const level = behind === 0 ? 'level with the live one' : `behind the live one in ${behind} of its streams`;
    say(`${name}: ${how}, ${level}${await parkedText(parts, name)}`);
  }
  say(`Next: ${hint(standing)}.`);
}

async function fillingText({ databases }: RebuildParts): Promise<string> {
  return `being filled, up to position ${await readAppliedPosition(databases[NEXT])}`;
}

async function behindCount(client: pg.ClientBase, name: OtherGeneration): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    `select count(*) as count from ${LIVE}.checkpoints l left join ${name}.checkpoints o on o.stream = l.stream
     where coalesce(o.revision, -1) < l.revision`,
  );
  return Number(rows[0]?.count ?? 0);
}

async function parkedText({ databases }: RebuildParts, name: typeof LIVE | OtherGeneration): Promise<string> {
  const { parked, count } = await listParked(databases[name], NAMED);
  if (count === 0) return '';
  const named = parked.map(({ stream, revision, error }) => `\n  ${stream} at revision ${revision}: ${error}`);
  return `, ${count} streams parked:${named.join('')}${count > parked.length ? `\n  and ${count - parked.length} more` : ''}`;
}

function hint({ next, fed, previous }: Standing): string {
  if (next && !fed) return '`start` goes on building, `abandon` gives it up';
  if (next) return '`compare`, then `switch`; or `abandon`';
  return previous ? '`back` returns to the generation before, `drop` removes it' : '`start` builds another generation';
}
