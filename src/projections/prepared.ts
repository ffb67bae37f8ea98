import type pg from 'pg';
import { sha256Base64 } from '../events/canonical.ts';

/** Statements that a connection keeps parsed and planned, at the most: what comes beyond is planned each time. */
const MAX_STATEMENTS = 200;

/**
 * A pool whose connections parse and plan each statement once. Projectors run the same dozen again and again, and
 * Postgres would take as long to plan one as to apply fifty rows with it.
 */
export function preparing(pool: pg.Pool): pg.Pool {
  const names = new Map<string, string>();
  const nameOf = (text: string): string | undefined => {
    const known = names.get(text);
    if (known !== undefined || names.size >= MAX_STATEMENTS) return known;
    const name = sha256Base64(text);
    names.set(text, name);
    return name;
  };
  pool.on('connect', (client) => {
    const plain = client.query.bind(client) as (...args: unknown[]) => unknown;
    const query = (...args: unknown[]): unknown => {
      const [text, values] = args;
      // Kysely's own calls, and no others.
      const name = typeof text === 'string' && Array.isArray(values) && args.length === 2 ? nameOf(text) : undefined;
      return name === undefined ? plain(...args) : plain({ name, text, values });
    };
    client.query = query as typeof client.query;
  });
  return pool;
}
