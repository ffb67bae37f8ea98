import { parseArgs } from 'node:util';
import pg from 'pg';
import { LEGACY_KEY_NAME, SCOPES } from '../api/access.ts';
import { appIdSchema } from '../api/service-callers.ts';
import { ConfigError, readConfig } from '../config.ts';
import { createKey, type ListedKey, listKeys, revokeKeys, rotateKey } from '../operational/service-keys.ts';
import { runEntry } from '../shutdown.ts';

/*
 * Makes, lists, rotates and revokes keys of services, on the database at DATABASE_URL (or MIGRATION_DATABASE_URL). A key
 * is printed alone on standard output, this once; words for people go to standard error.
 */

const HELP = `Keys of services:

  npm run keys -- create <name> --app <app> --scope <scope>   makes a key and shows it, this once
  npm run keys -- list                                        shows all keys, and when each was used
  npm run keys -- rotate <name> [--until <time>]              makes a new key; the old one is good until then (24 hours)
  npm run keys -- revoke <name or id>                         ends a key, or all of a name, within 30 seconds

--app and --scope may be given several times, or with commas. A key of several apps names one in X-App-Id.
Scopes: ${SCOPES.join(', ')}`;

/** What a name may not look like, so that `revoke` can tell one from an id. */
const ID = /^[0-9a-f]{16}$/;

type Flags = { readonly app: readonly string[]; readonly scope: readonly string[]; readonly until: string | undefined };

await runEntry(async () => {
  const { positionals, flags } = readArguments(process.argv.slice(2));
  const [command, subject, ...rest] = positionals;
  if (command === undefined || command === 'help') return console.log(HELP);
  if (rest.length > 0) throw usage(`${rest.join(' ')}: one name is enough`);
  if (command === 'list') return inDatabase(async (client) => console.log(tableOf(await listKeys(client))));
  if (!['create', 'rotate', 'revoke'].includes(command)) throw usage(`There is no command ${command}`);
  if (subject === undefined) throw usage(`${command} needs a name`);
  if (command === 'create') return create(subject, flags);
  return command === 'rotate' ? rotate(subject, flags) : revoke(subject);
});

function readArguments(args: readonly string[]): { positionals: readonly string[]; flags: Flags } {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        app: { type: 'string', multiple: true, default: [] },
        scope: { type: 'string', multiple: true, default: [] },
        until: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    const flags = { app: listed(values.app), scope: listed(values.scope), until: values.until };
    return { positionals: values.help ? ['help'] : positionals, flags };
  } catch (error) {
    throw usage((error as Error).message);
  }
}

async function create(name: string, { app: apps, scope: scopes }: Flags): Promise<void> {
  if (!appIdSchema.safeParse(name).success || name === LEGACY_KEY_NAME || ID.test(name)) {
    throw usage(
      `${name}: a name is 1 to 64 letters, digits, dots, dashes or underscores, and neither an id nor ${LEGACY_KEY_NAME}`,
    );
  }
  if (apps.length === 0 || scopes.length === 0) throw usage('create needs --app and --scope');
  const wrongApp = apps.find((app) => !appIdSchema.safeParse(app).success);
  if (wrongApp !== undefined) throw usage(`--app ${wrongApp}: must be 1 to 64 letters, digits, dots, dashes or underscores`);
  const wrongScope = scopes.find((scope) => !SCOPES.some((known) => known === scope));
  if (wrongScope !== undefined) throw usage(`There is no scope ${wrongScope}`);
  const text = await inDatabase((client) => createKey(client, { name, apps, scopes }));
  if (text === undefined) throw new ConfigError(`A key ${name} is in force: rotate it, or revoke it first.`);
  console.error(`Key ${name} for ${apps.join(', ')} with ${scopes.join(', ')}. It is shown this once:`);
  console.log(text);
}

async function rotate(name: string, { until }: Flags): Promise<void> {
  const end = until === undefined ? null : new Date(until);
  if (end !== null && Number.isNaN(end.getTime())) throw usage(`--until ${until}: must be a time like 2030-01-31T12:00:00Z`);
  const rotated = await inDatabase((client) => rotateKey(client, name, end));
  if (rotated === undefined) throw new ConfigError(`No key ${name} is in force.`);
  console.error(`New key ${name}; the old one is good until ${rotated.endsAt.toISOString()}. It is shown this once:`);
  console.log(rotated.text);
}

async function revoke(nameOrId: string): Promise<void> {
  const count = await inDatabase((client) => revokeKeys(client, nameOrId));
  if (count === 0) throw new ConfigError(`There is no key ${nameOrId} that could be revoked.`);
  console.log(`Revoked: ${count === 1 ? '1 key' : `${count} keys`}. Every process refuses within 30 seconds.`);
}

/** Works on a connection of whoever migrates: the service's role may not change keys. */
async function inDatabase<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  // What else is set, or isn't, is none of this command's business.
  const { DATABASE_URL, MIGRATION_DATABASE_URL } = process.env;
  const { migrationDatabaseUrl } = readConfig({ DATABASE_URL, MIGRATION_DATABASE_URL });
  const client = new pg.Client({ connectionString: migrationDatabaseUrl, application_name: 'mana-credits keys' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function listed(given: readonly string[]): readonly string[] {
  const parts = given.flatMap((one) => one.split(',')).map((one) => one.trim());
  return [...new Set(parts)].filter((one) => one !== '');
}

function usage(fault: string): ConfigError {
  return new ConfigError(`${fault}\n\n${HELP}`);
}

function tableOf(keys: readonly ListedKey[]): string {
  if (keys.length === 0) return 'There are no keys.';
  const rows = keys.map((key) => [
    key.name,
    key.id,
    key.apps.join(','),
    stateOf(key),
    key.createdAt.toISOString(),
    key.lastUsedAt?.toISOString() ?? 'never',
    key.scopes.join(','),
  ]);
  const all = [['NAME', 'ID', 'APPS', 'STATE', 'MADE', 'LAST USED', 'SCOPES'], ...rows];
  const widths = (all[0] ?? []).map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function stateOf({ revokedAt, endsAt, hasEnded }: ListedKey): string {
  if (revokedAt !== null) return `revoked ${revokedAt.toISOString()}`;
  if (endsAt === null) return 'in force';
  return `${hasEnded ? 'ended' : 'until'} ${endsAt.toISOString()}`;
}
