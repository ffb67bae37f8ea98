import { Command } from 'commander';
import { ConfigError, readConfig } from '../config.ts';
import { servicePool } from '../database.ts';
import { createFactIndex } from '../events/kurrent/fact-index.ts';
import type { Position, Store } from '../events/store.ts';
import { isKurrent, isPostgres, type LogEnd, type LogPlace, openLog } from './log-access/log-end.ts';
import { tell, wordsOf } from './log-access/trouble.ts';
import { progressBar } from './log-copy/progress.ts';
import { routerStart } from './log-copy/router-start.ts';
import { compareOnly, copyOn, type CopyParts, finish } from './log-copy/run-copy.ts';
import { writersOn } from './log-copy/writers.ts';
import { emptyIndex, reindex } from './log-reindex/reindex.ts';

/*
 * Works on the log as a whole, whichever store keeps it: copies it to another store, compares the two, and makes anew
 * what is known in Postgres of a log in KurrentDB. Exit codes: 1 where something differs or is not finished, 2 where it
 * could not be done.
 */

type Ends = { readonly from?: string; readonly to?: string; readonly fromPrefix?: string; readonly toPrefix?: string };

/** In ms: the service polls and expires at least once in this time. */
const QUIET = 2_000;

const PROCEDURE = `
Moving the log from Postgres to KurrentDB, with the service up until step 2:
  1. npm run log -- copy --to esdb://…           copies up to now and compares; repeat it until little is left
  2. stop all APIs and workers
  3. npm run log -- copy --to esdb://… --finish  copies the rest, compares all, and sets where the router starts
  4. set EVENTSTORE_URL and EVENTSTORE_PREFIX to the target, start the APIs and workers, and run npm run verify
The way back is the same with --from and --to exchanged, and EVENTSTORE_URL taken away in step 4. Broken off at any
moment, it may be started again: nothing is written twice.`;

const program = new Command('npm run log --').description('Copies, compares and indexes the log of the ledger.');

withEnds(program.command('copy').description('copies the log to another store, and compares the two by their hash chains'))
  .option('--finish', 'the last step, once nobody writes: also sets where the router starts on the target')
  .addHelpText('after', PROCEDURE)
  .action(async (options: Ends & { finish?: boolean }) => {
    const ends = placesOf(options);
    await withLogs(ends, (parts) => (options.finish === true ? finishAt(ends, parts) : copyOn(parts)));
  });

withEnds(program.command('compare').description('compares two logs stream by stream, by their hash chains')).action(
  async (options: Ends) => withLogs(placesOf(options), compareOnly),
);

program
  .command('reindex')
  .description('completes what Postgres knows of the claims and links in KurrentDB (EVENTSTORE_URL)')
  .option('--from-scratch', 'empties it first (MIGRATION_DATABASE_URL must name its owner)')
  .addHelpText(
    'after',
    `
The service may go on: until a stream is indexed again, its claims and links are looked up in the stream itself, and
streams with more than 10,000 events that are not indexed answer 503. Broken off, it goes on where it was.`,
  )
  .action(async ({ fromScratch }: { fromScratch?: boolean }) => indexAnew(fromScratch === true));

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${wordsOf(error).join(': ')}\n`);
  process.exitCode = 2;
}

function withEnds(command: Command): Command {
  return command
    .option('--from <url>', 'the source, postgres://… or esdb://… (default: DATABASE_URL)')
    .option('--to <url>', 'the target (default: EVENTSTORE_URL, or DATABASE_URL where --from is a KurrentDB)')
    .option('--from-prefix <prefix>', "what begins the streams' names in the source's KurrentDB (default: EVENTSTORE_PREFIX)")
    .option('--to-prefix <prefix>', "likewise in the target's (default: EVENTSTORE_PREFIX)");
}

type Places = { readonly from: LogPlace; readonly to: LogPlace; readonly databaseUrl: string };

/** Where the two logs are, as far as it was not said from the environment. Throws ConfigError. */
function placesOf({ from, to, fromPrefix, toPrefix }: Ends): Places {
  const { databaseUrl, eventStoreUrl, eventStorePrefix } = configOf();
  const source = from ?? databaseUrl;
  const target = to ?? (isKurrent(source) ? databaseUrl : eventStoreUrl);
  if (target === undefined) throw new ConfigError('Say where to: --to esdb://… or postgres://…');
  for (const url of [source, target]) {
    if (!isPostgres(url) && !isKurrent(url)) throw new ConfigError('A log is at postgres://… or esdb://…');
  }
  const places = {
    from: { url: source, prefix: fromPrefix ?? eventStorePrefix },
    to: { url: target, prefix: toPrefix ?? eventStorePrefix },
  };
  const isSame = source === target && (isPostgres(source) || places.from.prefix === places.to.prefix);
  if (isSame) throw new ConfigError('The source and the target are the same log.');
  return { ...places, databaseUrl };
}

/** What else is set, or isn't, is none of this command's business. */
function configOf() {
  const { DATABASE_URL, MIGRATION_DATABASE_URL, EVENTSTORE_URL, EVENTSTORE_PREFIX } = process.env;
  return readConfig({ DATABASE_URL, MIGRATION_DATABASE_URL, EVENTSTORE_URL, EVENTSTORE_PREFIX });
}

/** Opens both logs, does the work and closes them. The exit code is 1 where the work says so. */
async function withLogs(places: Places, work: (parts: CopyParts) => Promise<boolean>): Promise<void> {
  const { databaseUrl } = places;
  const opened: LogEnd[] = [];
  const open = async (place: LogPlace): Promise<LogEnd> => {
    const end = await openLog(place, { databaseUrl, onTrouble: tell });
    opened.push(end);
    // What can't be reached at all is said at once.
    await end.store.lastPosition();
    return end;
  };
  try {
    const source = await open(places.from);
    const target = await open(places.to);
    say(`From ${source.name} to ${target.name}`);
    const isDone = await work({ source: source.store, target: target.store, say, progress: progressBar });
    if (!isDone) process.exitCode = 1;
  } finally {
    for (const end of opened) await end.close();
  }
}

async function finishAt({ from, to, databaseUrl }: Places, parts: CopyParts): Promise<boolean> {
  // Read models stay in the Postgres that the service uses from now on.
  const start = routerStart(isPostgres(to.url) ? to.url : databaseUrl);
  const databases = [...new Set([from.url, to.url, databaseUrl].filter(isPostgres))];
  const writers = async () => (await Promise.all(databases.map(writersOn))).flat();
  try {
    const isDone = await finish({ ...parts, writers, routerStart: start, quiet: QUIET });
    // What the copy has written last may not be in the index yet; the service would read it from the streams.
    if (isDone && isKurrent(to.url)) await indexLog(parts.target, databaseUrl, await parts.target.lastPosition());
    return isDone;
  } finally {
    await start.close();
  }
}

async function indexAnew(fromScratch: boolean): Promise<void> {
  const { databaseUrl, migrationDatabaseUrl, eventStoreUrl, eventStorePrefix } = configOf();
  if (eventStoreUrl === undefined) throw new ConfigError('EVENTSTORE_URL is not set: a log in Postgres keeps no such index');
  const end = await openLog({ url: eventStoreUrl, prefix: eventStorePrefix }, { databaseUrl, onTrouble: tell });
  try {
    const upTo = await end.store.lastPosition();
    if (fromScratch) {
      await emptyIndex(migrationDatabaseUrl);
      say('Emptied. Until a stream is indexed again the service reads the stream itself, and long ones answer 503.');
    }
    await indexLog(end.store, databaseUrl, upTo);
  } finally {
    await end.close();
  }
}

/** Completes the index of a log in KurrentDB, and says so. */
async function indexLog(store: Store, databaseUrl: string, upTo: Position): Promise<void> {
  const pool = servicePool(databaseUrl, 'reindex', 1);
  const bar = progressBar('indexing', upTo);
  try {
    const { events, noted } = await reindex({
      store,
      index: createFactIndex(pool),
      onProgress: (indexed) => bar.at(indexed.position, `${indexed.noted} events added`),
    });
    bar.stop();
    say(`The index of claims and links knows all ${events} events; ${noted} of them were missing.`);
  } finally {
    bar.stop();
    await pool.end();
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
