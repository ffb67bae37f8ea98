import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSigner } from 'fast-jwt';
import pg from 'pg';
import { pino } from 'pino';
import { LOCAL_ISSUER } from './api/auth.ts';
import { waitUntilVisible } from './api/revisions.ts';
import { ConfigError, readConfig } from './config.ts';
import { type Context, createContext } from './context.ts';
import { startCluster } from './embedded/cluster.ts';
import { accountStream } from './events/account-events.ts';
import { MICRO_PER_CREDIT, micro } from './events/amounts.ts';
import { migrate } from './migrate.ts';
import { serve } from './serve.ts';
import { closeOnSignal, runEntry } from './shutdown.ts';
import { startWorkers } from './workers/start.ts';

/*
 * Everything in one process: Postgres (embedded, unless there is a DATABASE_URL), migrations, API and workers. Keys are
 * made once and kept in the data folder; nothing here is meant for production.
 */

const DATABASE = 'mana';
/** Held while a process works on a data folder: a second one is told so. */
const FOLDER_LOCK = 7_041_850;
const USER = 'demo-user';
/** Credits. */
const WELCOME = 100;

await runEntry(async () => {
  const given = withoutEmpty(process.env);
  const home = given['DATA_DIR'] ?? '.data';
  const keys = readKeys(home);
  const env = { JWT_SECRET: keys.jwtSecret, MANA_SERVICE_KEY: keys.serviceKey, LOG_LEVEL: 'warn', HOST: '127.0.0.1', ...given };
  // All faults but the missing database are told before anything is started.
  const log = pino({ level: readConfig({ DATABASE_URL: 'postgres://embedded', ...env }).logLevel });
  const opened: (() => Promise<void>)[] = [];
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= closeAll(opened));
  // From here on: a signal that comes while things are starting leaves no Postgres behind.
  closeOnSignal(log, close);
  try {
    const config = readConfig({ DATABASE_URL: given['DATABASE_URL'] ?? (await openDatabase(home, opened)), ...env });
    await migrate(config.migrationDatabaseUrl, config.databaseUrl);
    const context = await createContext(config, { log });
    opened.push(() => context.close());
    const welcomed = await welcome(context);
    const workers = startWorkers(context);
    opened.push(() => workers.close());
    const app = await serve(context);
    opened.push(() => app.close());
    // Who pastes the first line at once is to see the credits; where that takes long, they come a moment later.
    await waitUntilVisible(context.db, [[accountStream(USER), welcomed]]).catch(() => undefined);
    const { port } = app.server.address() as { port: number };
    console.log(
      greeting(`http://localhost:${port}`, env.MANA_SERVICE_KEY, config.authUrl === undefined ? env.JWT_SECRET : undefined),
    );
  } catch (error) {
    // What fails because it is being closed is no fault.
    const isFault = closing === undefined;
    await close();
    if (isFault) throw error;
  }
});

/** Closes what was opened, the last first. */
async function closeAll(opened: readonly (() => Promise<void>)[]): Promise<void> {
  for (const close of opened.toReversed()) await close();
}

/** The URL of the embedded database; whatever becomes of opening it, it is closed with the rest. */
async function openDatabase(home: string, opened: (() => Promise<void>)[]): Promise<string> {
  const opening = openEmbedded(home);
  opened.push(async () => (await opening.catch(() => undefined))?.close());
  return (await opening).url;
}

function withoutEmpty(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
}

/** The keys of this data folder, made the first time. */
function readKeys(home: string): { serviceKey: string; jwtSecret: string } {
  const file = join(home, 'keys.json');
  try {
    mkdirSync(home, { recursive: true });
    if (!existsSync(file)) makeKeys(file);
    return JSON.parse(readFileSync(file, 'utf8')) as { serviceKey: string; jwtSecret: string };
  } catch (error) {
    throw new ConfigError(
      `The data folder ${home} can't be used (${(error as Error).message}): set DATA_DIR to another folder.`,
      { cause: error },
    );
  }
}

/** Under another name first: a half-written file is never taken for a whole one, and of two at once the first counts. */
function makeKeys(file: string): void {
  const keys = { serviceKey: `mana_dev_${randomBytes(16).toString('hex')}`, jwtSecret: randomBytes(32).toString('hex') };
  const made = `${file}.${randomBytes(6).toString('hex')}`;
  writeFileSync(made, `${JSON.stringify(keys, null, 2)}\n`, { mode: 0o600 });
  try {
    // A link, where a rename would put itself in another's place.
    linkSync(made, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(made);
  }
}

/** Starts Postgres on the folder, takes hold of it, and makes the database the first time. */
async function openEmbedded(home: string): Promise<{ url: string; close(): Promise<void> }> {
  const cluster = await startCluster(home);
  const holder = new pg.Client({ connectionString: cluster.url('postgres'), application_name: 'mana-credits dev' });
  holder.on('error', () => undefined);
  await holder.connect();
  const { rows } = await holder.query<{ got: boolean }>('select pg_try_advisory_lock($1) as got', [FOLDER_LOCK]);
  if (rows[0]?.got !== true) {
    await holder.end();
    throw new ConfigError(
      `The data folder ${home} is in use by another mana-credits: stop it, or set DATA_DIR to another folder.`,
    );
  }
  const { rowCount } = await holder.query('select from pg_database where datname = $1', [DATABASE]);
  if (rowCount === 0) await holder.query(`create database ${DATABASE}`);
  return {
    url: cluster.url(DATABASE),
    close: async () => {
      await holder.end();
      await cluster.stop();
    },
  };
}

/** Gives the demo user something to spend; a repeat of it gives nothing. Returns the revision that the account has reached. */
async function welcome({ accounts }: Context): Promise<number> {
  const commandId = randomUUID();
  const outcome = await accounts.execute({
    stream: accountStream(USER),
    command: {
      type: 'GrantCredits',
      amount: micro(WELCOME * MICRO_PER_CREDIT),
      source: 'promo',
      reason: 'demo',
      reference: 'welcome',
      priority: 50,
      expiresAt: null,
      appId: null,
      personal: null,
    },
    actor: { kind: 'system', name: 'dev' },
    key: null,
    commandId,
    correlationId: commandId,
    causationId: null,
  });
  if (outcome.kind === 'rejected') throw new Error(`the demo user gets no credits: ${outcome.rejection.code}`);
  return outcome.kind === 'accepted' ? outcome.event.revision : outcome.revision;
}

function greeting(url: string, serviceKey: string, jwtSecret: string | undefined): string {
  const token =
    jwtSecret &&
    createSigner({ key: jwtSecret, algorithm: 'HS256' })({
      sub: USER,
      role: 'user',
      aud: 'mana',
      iss: LOCAL_ISSUER,
      exp: Math.floor(Date.now() / 1_000) + 30 * 24 * 3_600,
    });
  const service = `-H 'X-Service-Key: ${serviceKey}' -H 'Content-Type: application/json'`;
  const api = `${url}/api/v1`;
  return [
    `mana-credits listens on ${url} (documentation: ${url}/docs)`,
    '',
    `Service key: ${serviceKey}`,
    ...(token === undefined ? [] : [`Token of ${USER}: ${token}`]),
    '',
    `${USER} has credits. See the balance, hold 5, commit 3 of them:`,
    '',
    ...(token === undefined
      ? [`curl -s ${api}/internal/credits/balance/${USER} ${service}; echo`]
      : [`curl -s ${api}/credits/balance -H 'Authorization: Bearer ${token}'; echo`]),
    `RESERVATION=$(curl -s ${api}/internal/credits/reserve ${service} -d '{"userId":"${USER}","amount":5}' | tee /dev/stderr | sed 's/.*"reservationId":"\\([^"]*\\)".*/\\1/'); echo`,
    `curl -s ${api}/internal/credits/commit ${service} -d "{\\"reservationId\\":\\"$RESERVATION\\",\\"amount\\":3}"; echo`,
    '',
  ].join('\n');
}
