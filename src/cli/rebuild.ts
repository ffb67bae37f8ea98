import { Command, InvalidArgumentError } from 'commander';
import { ConfigError, readConfig } from '../config.ts';
import { readModelPool } from '../database.ts';
import { readDatabase } from '../projections/database.ts';
import { LIVE, NEXT, type OtherGeneration, PREVIOUS } from '../projections/generations.ts';
import { openLog } from './log-access/log-end.ts';
import { tell, wordsOf } from './log-access/trouble.ts';
import { progressBar } from './log-copy/progress.ts';
import { claimRebuild, comparingPool, connectOwner, RefusedError, standingOf } from './read-model-rebuild/owner.ts';
import type { RebuildParts } from './read-model-rebuild/parts.ts';
import { compare } from './read-model-rebuild/run-compare.ts';
import { start } from './read-model-rebuild/start.ts';
import { status } from './read-model-rebuild/status.ts';
import { remove } from './read-model-rebuild/structure.ts';
import { switchBack, switchOver } from './read-model-rebuild/switch.ts';

/*
 * Builds all read models anew from the log, beside those that are read, and switches to them: `npm run rebuild -- start`.
 * Exit codes: 1 where something differs, is parked or is refused, 2 where it could not be done.
 */

/** Differences that are shown where nobody says how many. */
const SHOWN = 20;
const MOST_SHOWN = 1_000;
/** Connections that fill the next generation: one for each partition. */
const FILLING = 4;

const PROCEDURE = `
Reads go on all the time, and so do commands:
  1. npm run rebuild -- start     builds a new generation beside the live one; broken off, it goes on where it was
  2. npm run rebuild -- compare   shows every row that differs, with the events that caused it
  3. npm run rebuild -- switch    makes the new generation the live one, in a moment
  4. npm run rebuild -- back      returns to the one before, as long as it stands: it is fed on all the time
     npm run rebuild -- drop      removes the one before, once nobody wants to go back
  At any time before step 3: npm run rebuild -- abandon, which removes the new generation.
  npm run rebuild -- status says where it stands and what comes next.
DATABASE_URL names the database, MIGRATION_DATABASE_URL its owner where the service is another user, EVENTSTORE_URL the
log where it is in KurrentDB. Exit codes: 0 where all is well, 1 where rows differ, streams are parked or the command
is refused, 2 where it could not be done. More in docs/rebuilding.md.`;

const program = new Command('npm run rebuild --')
  .description('Builds the read models anew from the log while the service goes on, compares, and switches.')
  .addHelpText('after', PROCEDURE);

program
  .command('start')
  .description('builds a new generation beside the live one, or goes on building, until it has caught up with the log')
  .action(() => run(start));

program
  .command('status')
  .description('says which generations there are, how far each is, and what can be done next')
  .action(() => run((parts) => done(status(parts))));

program
  .command('compare')
  .description('compares the live generation with the one beside it, row by row')
  .option('--show <count>', 'differences that are shown; all are counted', countOf, SHOWN)
  .action(({ show }: { show: number }) => run((parts) => compare(parts, { limit: show })));

withParked(program.command('switch'))
  .description('makes the new generation the live one; the one before is fed on')
  .action(({ despiteParked }: { despiteParked?: boolean }) =>
    run((parts) => done(switchOver(parts, { despiteParked: despiteParked === true }))),
  );

withParked(program.command('back'))
  .description('makes the generation before the last switch the live one again')
  .action(({ despiteParked }: { despiteParked?: boolean }) =>
    run((parts) => done(switchBack(parts, { despiteParked: despiteParked === true }))),
  );

program
  .command('drop')
  .description('removes the generation before the last switch: there is no way back then')
  .action(() => run((parts) => done(removeStanding(parts, PREVIOUS))));

program
  .command('abandon')
  .description('removes the generation that was being built')
  .action(() => run((parts) => done(removeStanding(parts, NEXT))));

/** https://www.postgresql.org/docs/current/errcodes-appendix.html: no right to that. */
const NO_RIGHT = '42501';

try {
  await program.parseAsync();
} catch (error) {
  const lacksRight = (error as { code?: unknown }).code === NO_RIGHT;
  const hint = lacksRight ? ['MIGRATION_DATABASE_URL must name the owner of the read models'] : [];
  process.stderr.write(`${[...hint, ...wordsOf(error)].join(': ')}\n`);
  process.exitCode = error instanceof RefusedError ? 1 : 2;
}

function withParked(command: Command): Command {
  return command.option('--despite-parked', 'though streams are parked there that are not in the live generation');
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 0 || count > MOST_SHOWN) {
    throw new InvalidArgumentError(`A number from 0 to ${MOST_SHOWN}.`);
  }
  return count;
}

async function done(work: Promise<void>): Promise<boolean> {
  await work;
  return true;
}

async function removeStanding(parts: RebuildParts, generation: OtherGeneration): Promise<void> {
  await claimRebuild(parts.owner);
  const { next, previous } = await standingOf(parts.owner);
  if (generation === NEXT ? !next : !previous) throw new RefusedError(`There is no ${generation}.`);
  await remove(parts.owner, generation);
  parts.say(`${generation} is removed.`);
}

/** Connects, does the work and closes. The exit code is 1 where the work says so. */
async function run(work: (parts: RebuildParts) => Promise<boolean>): Promise<void> {
  const { DATABASE_URL, MIGRATION_DATABASE_URL, EVENTSTORE_URL, EVENTSTORE_PREFIX } = process.env;
  if (DATABASE_URL === undefined || DATABASE_URL === '') {
    throw new ConfigError('DATABASE_URL is not set: it names the database whose read models are to be rebuilt');
  }
  const config = readConfig({ DATABASE_URL, MIGRATION_DATABASE_URL, EVENTSTORE_URL, EVENTSTORE_PREFIX });
  const { databaseUrl: url, migrationDatabaseUrl, eventStoreUrl, eventStorePrefix: prefix } = config;
  const owner = await connectOwner(migrationDatabaseUrl);
  const databases = {
    [LIVE]: readDatabase(readModelPool(url, 'rebuild', 1, LIVE)),
    [NEXT]: readDatabase(readModelPool(url, 'rebuild', FILLING, NEXT)),
    [PREVIOUS]: readDatabase(readModelPool(url, 'rebuild', FILLING, PREVIOUS)),
  };
  const pool = comparingPool(url);
  try {
    const log = await openLog({ url: eventStoreUrl ?? url, prefix }, { databaseUrl: url, onTrouble: tell });
    try {
      const isWell = await work({ store: log.store, databases, owner, pool, say, tell, progress: progressBar });
      if (!isWell) process.exitCode = 1;
    } finally {
      await log.close();
    }
  } finally {
    const closing = Object.values(databases).map((one) => one.destroy());
    await Promise.all([...closing, pool.end(), owner.end()]);
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
