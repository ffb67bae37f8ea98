import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { ConfigError, readConfig } from '../config.ts';
import { type Context, createContext } from '../context.ts';
import { runEntry } from '../shutdown.ts';
import { importCatalogue, type ImportFlags } from './catalogue-import/import-catalogue.ts';
import { readCatalogueFile } from './catalogue-import/read-file.ts';

/* Makes the catalogue at DATABASE_URL what a file says. Repeated, it finds no difference and writes nothing. */

const HELP = `The catalogue:

  npm run catalogue -- import <file>     shows in what file and catalogue differ, and makes the catalogue what the file says

--dry-run          only shows the difference
--retire-missing   retires what the file doesn't name; without it that is listed and stays

A file is {"operations": [{"app", "operation", "cost", "per"?, "unit"?, "free"?: {"uses", "period"}}], "packages"?: [{"id",
"name", "description"?, "credits", "priceEuroCents", "stripePriceId"?, "sortOrder"?, "metadata"?}]}. Without "packages" the
packages stay as they are.`;

await runEntry(async () => {
  const { positionals, flags } = readArguments(process.argv.slice(2));
  const [command, path, ...rest] = positionals;
  if (command === undefined || command === 'help') return console.log(HELP);
  if (command !== 'import') throw usage(`There is no command ${command}`);
  if (path === undefined || rest.length > 0) throw usage('import needs one file');
  const file = await readCatalogueFile(path);
  await inContext((context) => importCatalogue(context, file, flags, (line) => console.log(line)));
});

function readArguments(args: readonly string[]): { positionals: readonly string[]; flags: ImportFlags } {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        'dry-run': { type: 'boolean', default: false },
        'retire-missing': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    const flags = { dryRun: values['dry-run'], retireMissing: values['retire-missing'] };
    return { positionals: values.help ? ['help'] : positionals, flags };
  } catch (error) {
    throw usage((error as Error).message);
  }
}

function usage(fault: string): ConfigError {
  return new ConfigError(`${fault}\n\n${HELP}`);
}

async function inContext(work: (context: Context) => Promise<void>): Promise<void> {
  const config = readConfig(process.env);
  // What it prints is for people, or for a file of theirs: what went wrong stands on the other stream.
  const log = pino({ level: config.logLevel }, pino.destination({ dest: 2, sync: true }));
  const context = await createContext(config, { log });
  try {
    await work(context);
  } finally {
    await context.close();
  }
}
