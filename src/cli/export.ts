import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Config, readConfig } from '../config.ts';
import { servicePool } from '../database.ts';
import { createPersonal } from '../events/personal.ts';
import { openLog } from './log-access/log-end.ts';
import { exportOf } from './personal-export/document.ts';

/**
 * Prints all that the ledger at DATABASE_URL holds about a person, as JSON: `npm run -s export -- <user>`. Returns the
 * exit code: 2 where it could not be done, and then what was printed is not whole.
 */
async function main(users: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const { DATABASE_URL, EVENTSTORE_URL, EVENTSTORE_PREFIX } = env;
  const [user] = users;
  if (users.length !== 1 || user === undefined || user === '') {
    process.stderr.write('Name one user: npm run -s export -- <user>\n');
    return 2;
  }
  if (DATABASE_URL === undefined || DATABASE_URL === '') {
    process.stderr.write('DATABASE_URL is not set: it names the database that the user is in\n');
    return 2;
  }
  try {
    await print(user, readConfig({ DATABASE_URL, EVENTSTORE_URL, EVENTSTORE_PREFIX }));
    return 0;
  } catch (error) {
    process.stderr.write(`${user} can't be exported: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
}

async function print(user: string, { databaseUrl, eventStoreUrl, eventStorePrefix }: Config): Promise<void> {
  const place = { url: eventStoreUrl ?? databaseUrl, prefix: eventStorePrefix };
  const end = await openLog(place, { databaseUrl, onTrouble: (what) => process.stderr.write(`${what}\n`) });
  const pool = servicePool(databaseUrl, 'export', 2);
  try {
    const pages = exportOf({ pool, store: end.store, personal: createPersonal(pool), user });
    await pipeline(Readable.from(pages), process.stdout, { end: false });
  } finally {
    await Promise.all([pool.end(), end.close()]);
  }
}

process.exitCode = await main(process.argv.slice(2), process.env);
