import type pg from 'pg';
import { expect } from 'vitest';
import { runCommandLine } from '../support/run-command-line.ts';
import type { TestDatabase } from '../support/database.ts';

/* `npm run rebuild`, as it is run, and what it leaves in the database. */

export type Said = { readonly code: number | string | null | undefined; readonly stdout: string; readonly stderr: string };

/** Runs a command of the rebuild on a database. */
export async function rebuild({ url }: Pick<TestDatabase, 'url'>, ...args: readonly string[]): Promise<Said> {
  const { stderr, ...ended } = await runCommandLine('rebuild', args, url);
  return { ...ended, stderr: stderr.replace(/^(rebuilding|comparing): \d+ % .*\n/gm, '') };
}

/** Runs a command that must go well. Returns what it said. */
export async function rebuilt(database: Pick<TestDatabase, 'url'>, ...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await rebuild(database, ...args);
  expect({ code, stderr, stdout }).toMatchObject({ code: 0, stderr: '' });
  return stdout;
}

/** Every table of a generation that belongs to a stream, as Postgres writes its rows down. */
export async function rowsIn(superuser: pg.Client, generation: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const { rows: tables } = await superuser.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = $1::regnamespace and relkind = 'r'
       and relname not in ('applied', 'parked', 'fed') order by 1`,
    [generation],
  );
  const found: Record<string, readonly string[]> = {};
  for (const { name } of tables) {
    const { rows } = await superuser.query<{ row: string }>(`select t::text as row from ${generation}.${name} t order by 1`);
    found[name] = rows.map(({ row }) => row);
  }
  return found;
}

/** The schemas that are generations of the read models. */
export async function generationsOf(superuser: pg.Client): Promise<readonly string[]> {
  const { rows } = await superuser.query<{ name: string }>(
    `select nspname as name from pg_namespace where nspname like 'read\\_model%' order by 1`,
  );
  return rows.map(({ name }) => name);
}

/** The structure of a generation: tables, columns, options, indexes, constraints and rights, without its own name. */
export async function structureOf(superuser: pg.Client, generation: string): Promise<readonly string[]> {
  const { rows } = await superuser.query<{ line: string }>(
    `select 'schema ' || n.nspowner::regrole || ' ' || coalesce(n.nspacl::text, '') as line from pg_namespace n where n.nspname = $1
     union all
     select format('%s %s %s %s %s %s', c.relkind, c.relname, c.relowner::regrole, c.relpersistence, c.reloptions, c.relacl)
     from pg_class c where c.relnamespace = $1::regnamespace and c.relname <> 'fed'
     union all
     select format('column %s %s %s %s %s %s', c.relname, row_number() over (partition by c.oid order by a.attnum), a.attname,
       format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid))
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
     where c.relnamespace = $1::regnamespace and c.relkind = 'r' and c.relname <> 'fed'
     union all
     select replace(pg_get_indexdef(i.indexrelid), $1 || '.', '')
     from pg_index i join pg_class c on c.oid = i.indrelid where c.relnamespace = $1::regnamespace
     union all
     select format('constraint %s %s %s', c.relname, k.conname, pg_get_constraintdef(k.oid))
     from pg_constraint k join pg_class c on c.oid = k.conrelid where c.relnamespace = $1::regnamespace
     order by 1`,
    [generation],
  );
  return rows.map(({ line }) => line);
}
