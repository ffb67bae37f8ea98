import type pg from 'pg';
import { FED_MARK, LIVE, NEXT, type OtherGeneration } from '../../projections/generations.ts';
import { START } from '../../events/store.ts';
import { asOwner, whileProjectorsWait } from './owner.ts';

/*
 * The statements that make a generation like the live one, each in a row. Indexes and constraints keep their names, which
 * `like … including all` would make up anew: migrations to come name them. Rights are those of the live tables.
 */

const SCHEMA = `select 'create schema ${NEXT}' as statement
  union all
  select format('grant %s on schema ${NEXT} to %s', a.privilege_type, a.grantee::regrole)
  from pg_namespace n, aclexplode(n.nspacl) a where n.nspname = '${LIVE}' and a.grantee <> n.nspowner`;

const TABLES = `select format('create table ${NEXT}.%I (like ${LIVE}.%I including all excluding indexes)%s', c.relname, c.relname,
    ' with (' || array_to_string(c.reloptions, ', ') || ')') as statement
  from pg_class c where c.relnamespace = '${LIVE}'::regnamespace and c.relkind = 'r' order by c.relname`;

const INDEXES = `select regexp_replace(pg_get_indexdef(i.indexrelid), ' ON ${LIVE}\\.', ' ON ${NEXT}.') as statement
  from pg_class c join pg_index i on i.indrelid = c.oid
  where c.relnamespace = '${LIVE}'::regnamespace and c.relkind = 'r' order by i.indexrelid`;

const CONSTRAINTS = `select format('alter table ${NEXT}.%I add constraint %I %s using index %I', c.relname, k.conname,
    case k.contype when 'p' then 'primary key' else 'unique' end, x.relname) as statement
  from pg_class c join pg_constraint k on k.conrelid = c.oid join pg_class x on x.oid = k.conindid
  where c.relnamespace = '${LIVE}'::regnamespace and k.contype in ('p', 'u') order by k.oid`;

const GRANTS = `select format('grant %s on ${NEXT}.%I to %s', a.privilege_type, c.relname, a.grantee::regrole) as statement
  from pg_class c, aclexplode(c.relacl) a
  where c.relnamespace = '${LIVE}'::regnamespace and c.relkind = 'r' and a.grantee not in (c.relowner, 0)`;

/** What none of these statements would copy: there is nothing of the kind, and who adds some is told here. */
const UNKNOWN = `select c.relname as name from pg_class c
  where c.relnamespace = '${LIVE}'::regnamespace and c.relkind not in ('r', 'i', 't')
  union all
  select k.conname from pg_constraint k join pg_class c on c.oid = k.conrelid
  where c.relnamespace = '${LIVE}'::regnamespace and k.contype not in ('p', 'u', 'c', 'n')
  union all
  select t.tgname from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = '${LIVE}'::regnamespace`;

/** Makes an empty generation with the structure and the rights of the live one, at the beginning of the log. */
export async function createNext(owner: pg.Client): Promise<void> {
  await asOwner(owner, async () => {
    const { rows: unknown } = await owner.query<{ name: string }>(UNKNOWN);
    if (unknown[0] !== undefined) throw new Error(`${LIVE} holds ${unknown[0].name}, which a rebuild does not know how to copy`);
    for (const made of [SCHEMA, TABLES, INDEXES, CONSTRAINTS, GRANTS]) {
      const { rows } = await owner.query<{ statement: string }>(made);
      for (const { statement } of rows) await owner.query(statement);
    }
    await owner.query(`insert into ${NEXT}.applied (only_row, position) values (true, $1)`, [START]);
  });
}

/** Marks the next generation as one that projectors feed. */
export async function markFed(owner: pg.Client): Promise<void> {
  await asOwner(owner, async () => {
    await owner.query(`create table if not exists ${NEXT}.${FED_MARK} ()`);
  });
}

/** Counts what a generation's tables hold, for Postgres to plan with from the first question on. */
export async function analyze(owner: pg.Client, generation: OtherGeneration): Promise<void> {
  await asOwner(owner, async () => {
    for (const name of await tablesOf(owner, generation)) await owner.query(`analyze ${generation}.${name}`);
  });
}

/** Removes a generation, between two transactions of whoever feeds it; or nothing, where something else rests on it. */
export async function remove(owner: pg.Client, generation: OtherGeneration): Promise<void> {
  await whileProjectorsWait(owner, async () => {
    const names = await tablesOf(owner, generation);
    if (names.length > 0) await owner.query(`drop table ${names.map((name) => `${generation}.${name}`).join(', ')}`);
    await owner.query(`drop schema ${generation}`);
  });
}

/** Names come quoted. */
async function tablesOf(owner: pg.Client, generation: OtherGeneration): Promise<readonly string[]> {
  const { rows } = await owner.query<{ name: string }>(
    `select quote_ident(relname) as name from pg_class where relnamespace = $1::regnamespace and relkind = 'r' order by relname`,
    [generation],
  );
  return rows.map(({ name }) => name);
}
