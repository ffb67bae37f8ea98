import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { servicePool } from '../database.ts';
import { createPersonal } from '../events/personal.ts';
import { exportOf } from './personal-export/document.ts';

/**
 * Prints all that the ledger at DATABASE_URL holds about a person, as JSON: `npm run -s export -- <user>`. Returns the
 * exit code: 2 where it could not be done, and then what was printed is not whole.
 */
async function main(users: readonly string[], url: string | undefined): Promise<number> {
  const [user] = users;
  if (users.length !== 1 || user === undefined || user === '') {
    process.stderr.write('Name one user: npm run -s export -- <user>\n');
    return 2;
  }
  if (url === undefined || url === '') {
    process.stderr.write('DATABASE_URL is not set: it names the database that the user is in\n');
    return 2;
  }
  const pool = servicePool(url, 'export', 2);
  try {
    const pages = exportOf({ pool, personal: createPersonal(pool), user });
    await pipeline(Readable.from(pages), process.stdout, { end: false });
    return 0;
  } catch (error) {
    process.stderr.write(`${user} can't be exported: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  } finally {
    await pool.end();
  }
}

process.exitCode = await main(process.argv.slice(2), process.env['DATABASE_URL']);
