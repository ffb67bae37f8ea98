import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { ROOT } from './compose-file.ts';

/**
 * Runs deploy/postgres/users.sql as psql would: `\getenv` takes a value from the environment given here, `:'name'` puts
 * it into a statement. Throws at anything else that psql alone knows.
 */
export async function makeUsers(admin: pg.Client, env: Readonly<Record<string, string>>): Promise<void> {
  const values = new Map<string, string>();
  const lines: string[] = [];
  for (const line of readFileSync(join(ROOT, 'deploy', 'postgres', 'users.sql'), 'utf8').split('\n')) {
    const [, name, variable] = /^\\getenv (\w+) (\w+)$/.exec(line) ?? [];
    if (name === undefined || variable === undefined) lines.push(line);
    else values.set(name, env[variable] ?? '');
  }
  const statements = lines
    .filter((line) => !line.startsWith('--'))
    .join('\n')
    .split(';');
  for (const statement of statements.map((one) => one.trim()).filter((one) => one !== '')) {
    await admin.query(
      statement.replaceAll(/:'(\w+)'/g, (_, name: string) => {
        const value = values.get(name);
        if (value === undefined) throw new Error(`nothing sets ${name}`);
        return pg.escapeLiteral(value);
      }),
    );
  }
}
