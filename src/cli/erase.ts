import { userInfo } from 'node:os';
import { servicePool } from '../database.ts';
import { createPersonal, KEYS_KEPT_FOR } from '../events/personal.ts';

/**
 * Erases a person at DATABASE_URL: `npm run erase -- <user>`. Deletes the keys of their words and notes which account of
 * the system did it. Returns the exit code: 2 where it could not be done.
 */
async function main(users: readonly string[], url: string | undefined): Promise<number> {
  const [user] = users;
  if (users.length !== 1 || user === undefined || user === '') {
    process.stderr.write('Name one user: npm run erase -- <user>\n');
    return 2;
  }
  if (url === undefined || url === '') {
    process.stderr.write('DATABASE_URL is not set: it names the database in which the user is to be erased\n');
    return 2;
  }
  const pool = servicePool(url, 'erase', 1);
  try {
    const erased = await createPersonal(pool).erase(user, `cli:${userInfo().username}`);
    process.stdout.write(erased === 0 ? nothing(user) : done(user, erased));
    return 0;
  } catch (error) {
    process.stderr.write(`${user} can't be erased: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  } finally {
    await pool.end();
  }
}

function nothing(user: string): string {
  return `There is nothing to erase of ${user}.\n`;
}

function done(user: string, erased: number): string {
  const keys = erased === 1 ? 'key' : 'keys';
  return `Erased ${erased} ${keys} of ${user}. Running processes may show their words for ${KEYS_KEPT_FOR / 1_000} s more.\n`;
}

process.exitCode = await main(process.argv.slice(2), process.env['DATABASE_URL']);
