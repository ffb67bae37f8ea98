import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { servicePool } from '../../src/database.ts';
import { migrate } from '../../src/migrate.ts';
import { type Answer, giveCredits, granted, holdCredits, readOwn, tokenOf } from '../support/api-client.ts';
import { faultsOf } from '../support/log-of.ts';
import { type OwnCluster, startOwnCluster } from '../support/own-cluster.ts';
import { type Service, startService } from '../support/service.ts';

/*
 * Words of a person are planted through the API, and then looked for: in every file of the database, write-ahead log
 * included, and in all that the service logs at its most talkative. On a server of its own, so that nobody else's files
 * come and go meanwhile.
 */

const SERVICES = '/api/v1/internal/credits';
const ERASE = '/api/v1/internal/privacy/erase';
const USER = 'planted-user';
/** Stands in clear, as references do: what finds it would find the others. */
const REFERENCE = 'reference-that-is-found';

/** A log that is kept elsewhere knows the database by its name, and may have been there before. */
const DATABASE = `planted_${randomBytes(6).toString('hex')}`;

const NAME = 'Wilhelmina Featherstonehaugh';
const ADDRESS = 'wilhelmina@featherstonehaugh.example';
const DESCRIPTION = 'a portrait for the silver wedding';
const PLANTED = [NAME, ADDRESS, DESCRIPTION] as const;

let cluster: OwnCluster;
let admin: pg.Client;
let pool: pg.Pool;
let service: Service;
let life: { readonly hold: string; readonly released: string; readonly last: Answer };

beforeAll(async () => {
  cluster = await startOwnCluster();
  await cluster.admin.query(`create database ${DATABASE}`);
  const databaseUrl = cluster.url(DATABASE);
  await migrate(databaseUrl);
  admin = new pg.Client({ connectionString: databaseUrl });
  await admin.connect();
  pool = servicePool(databaseUrl, 'planted', 1);
  service = await startService({ databaseUrl, workers: true, env: { LOG_LEVEL: 'trace' } });
  life = await plant();
}, 60_000);

afterAll(async () => {
  await service?.close();
  await pool?.end();
  await admin?.end();
  await cluster?.close();
});

const words = { description: `${DESCRIPTION} of ${NAME}`, metadata: { [NAME]: ADDRESS, nested: [{ address: ADDRESS }] } };
const use = { userId: USER, amount: 3, ...words, idempotencyKey: 'planted-use' };

/** Everything that a caller can say in words, said; and refusals, whose requests hold them as well. */
async function plant() {
  const app = service.app();
  await giveCredits(app, USER, 100, { reason: 'welcome', referenceId: REFERENCE, description: words.description });
  const hold = await holdCredits(app, USER, 10, { ...words, reason: `for ${NAME}` });
  granted(await app.post(`${SERVICES}/commit`, { reservationId: hold, amount: 5, ...words }));
  const released = await holdCredits(app, USER, 10, words);
  granted(await app.post(`${SERVICES}/refund-reservation`, { reservationId: released, reason: `${NAME} <${ADDRESS}>` }));
  const used = granted(await app.post(`${SERVICES}/use`, { ...use, idempotencyKey: 'planted-first' }));
  const transactionId = (used.body as { transaction: { id: string } }).transaction.id;
  granted(await app.post(`${SERVICES}/refund`, { userId: USER, amount: 1, transactionId, ...words }));
  granted(await app.post(`${SERVICES}/refund`, { userId: USER, amount: 1, ...words }));
  const commands = [{ type: 'use', userId: USER, amount: 1, ...words }];
  granted(await app.post(`${SERVICES}/batch`, { commands }));
  granted(await app.post(`${SERVICES}/batch`, { commands, atomic: true }));
  const last = granted(await app.post(`${SERVICES}/use`, use));
  for (const [body, status] of [
    [{ ...use, idempotencyKey: undefined, amount: 1_000 }, 402],
    [{ ...use, description: `${DESCRIPTION} again` }, 409],
    [{ ...use, amount: 'much' }, 400],
    [{ ...use, [NAME]: ADDRESS, metadata: NAME }, 400],
  ] as const) {
    expect((await app.post(`${SERVICES}/use`, body)).status).toBe(status);
  }
  const broken = `{"userId": "${USER}", "description": "${NAME}", `;
  expect((await app.send('POST', `${SERVICES}/use`, broken, { 'content-type': 'application/json' })).status).toBe(400);
  await history(last);
  return { hold, released, last };
}

async function history(last: Answer): Promise<readonly { readonly description: unknown; readonly metadata: unknown }[]> {
  const list = await readOwn(service.app(), `${SERVICES}/transactions/${USER}`, { 'x-min-revision': tokenOf(last) });
  return granted(list).body as readonly { description: unknown; metadata: unknown }[];
}

/** Which of these the files of the database hold, once all of it is on disk. */
async function foundOnDisk(needles: readonly Buffer[], below = ''): Promise<readonly boolean[]> {
  await admin.query('checkpoint');
  const { rows } = await admin.query<{ data_directory: string }>('show data_directory');
  const found = needles.map(() => false);
  for (const entry of readdirSync(join(rows[0]?.data_directory ?? '', below), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const content = contentOf(join(entry.parentPath, entry.name));
    for (const [index, needle] of needles.entries()) if (content.includes(needle)) found[index] = true;
  }
  return found;
}

/** A file that Postgres has removed meanwhile holds nothing. */
function contentOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}

/** A text as it may stand: as it is, in hex, and in base64 wherever it begins. */
function spellings(text: string): readonly Buffer[] {
  const inBase64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.from(`${'.'.repeat(shift)}${text}`).toString('base64');
    // Without the ends, which depend on what stands around.
    return encoded.slice(4, -4);
  });
  return [text, Buffer.from(text).toString('hex'), ...inBase64].map((spelling) => Buffer.from(spelling));
}

async function keysOf(): Promise<readonly Buffer[]> {
  const { rows } = await admin.query<{ key: Buffer }>(
    'select key from ledger.personal_keys where subject = $1 and key is not null',
    [USER],
  );
  return rows.map(({ key }) => key);
}

async function expectNowhere(): Promise<void> {
  const [reference, ...found] = await foundOnDisk([Buffer.from(REFERENCE), ...PLANTED.flatMap(spellings)]);
  expect(reference).toBe(true);
  expect(found).toEqual(found.map(() => false));
  const log = service.logged.join('\n');
  // It tells of the requests, so it would have told of more.
  expect(log).toContain(`${SERVICES}/use`);
  for (const spelling of PLANTED.flatMap(spellings)) expect(log).not.toContain(spelling.toString());
}

describe('before anybody is erased', () => {
  it('whoever may read the words reads them', async () => {
    const [latest] = await history(life.last);
    expect(latest).toMatchObject({ description: words.description, metadata: words.metadata });
  });

  it('they stand in clear in no file of the database and no line of the log', async () => {
    await expectNowhere();
  });
});

describe('after the person was erased', () => {
  let keys: readonly Buffer[];

  beforeAll(async () => {
    keys = await keysOf();
    expect(keys).toHaveLength(1);
    // While it stands, so does the key: what is looked for below would be found.
    expect(await foundOnDisk(keys, 'base')).toEqual([true]);
    expect((await service.app().post(ERASE, { userId: USER })).body).toEqual({ erased: 1 });
  });

  it('nobody reads the words any more, in this process or in a new one', async () => {
    const nulls = { description: null, metadata: null };
    const list = await history(life.last);
    expect(list).toHaveLength(11);
    for (const one of list) expect(one).toMatchObject(nulls);
    const another = await startService({ databaseUrl: cluster.url(DATABASE) });
    try {
      expect((await another.app().get(`${SERVICES}/transactions/${USER}`)).body).toEqual(list);
      for (const id of [life.hold, life.released]) {
        expect((await another.app().get(`${SERVICES}/reservations/${id}`)).body).toMatchObject({ ...nulls, reason: null });
      }
    } finally {
      await another.close();
    }
  });

  it('the log is whole, and a key gives the same outcome as before', async () => {
    expect(await faultsOf({ store: service.context.store, pool })).toEqual([]);
    const again = granted(await service.app().post(`${SERVICES}/use`, use));
    const { transaction, ...rest } = life.last.body as { transaction: object };
    expect(again.body).toEqual({ ...rest, transaction: { ...transaction, description: null, metadata: null } });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  });

  it('they still stand nowhere in clear', async () => {
    await expectNowhere();
  });

  it('the key is in no table once its table was written anew, as docs/privacy.md tells operators to', async () => {
    await admin.query('vacuum full ledger.personal_keys');
    expect(await foundOnDisk(keys, 'base')).toEqual([false]);
  });
});
