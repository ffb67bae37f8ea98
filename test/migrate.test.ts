import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pino } from 'pino';
import { readConfig } from '../src/config.ts';
import { createContext } from '../src/context.ts';
import { migrate } from '../src/migrate.ts';
import { findBalance } from '../src/projections/balances.ts';
import { credits } from './support/account-samples.ts';
import { createTestDatabase } from './support/database.ts';
import { openLedger } from './support/ledger.ts';
import { type OwnCluster, startOwnCluster } from './support/own-cluster.ts';
import { tcpProxy } from './support/tcp-proxy.ts';
import { eventually, openWorkers } from './workers/working.ts';

const MIGRATIONS = readdirSync(join(import.meta.dirname, '..', 'migrations'))
  .toSorted()
  .map((file) => file.replace(/\.sql$/, ''));

describe('migrating as a user who may make roles and is no superuser, for a service with a user of its own', () => {
  let cluster: OwnCluster;
  let migrating: string;
  let service: string;

  beforeAll(async () => {
    cluster = await startOwnCluster();
    await cluster.admin.query(`create role migrator login createrole password 'migrator'`);
    await cluster.admin.query(`create role service login password 'service'`);
    await cluster.admin.query('create database ledger owner migrator');
    // As careful owners do; the queue works with temporary tables.
    await cluster.admin.query('revoke temporary on database ledger from public');
    [migrating, service] = [cluster.url('ledger', 'migrator'), cluster.url('ledger', 'service')];
  });

  afterAll(() => cluster?.close());

  it('lets the service work from the first command to the read models', async () => {
    // Roles belong to the whole server: on this one the service's is not there yet.
    const early = createContext(readConfig({ DATABASE_URL: service }), { log: pino({ level: 'silent' }) });
    await expect(early).rejects.toThrow('the database is not migrated: run `npm run migrate`');

    expect(await migrate(migrating, service)).toEqual(MIGRATIONS);
    const workers = await openWorkers(service);
    const { context } = workers.ledger;
    try {
      const account = workers.ledger.account('ada');
      await account.grant(credits(5));
      await account.use(credits(2));
      await eventually(async () => expect(await findBalance(context.db, 'ada')).toMatchObject({ available: credits(3) }));
      await context.pingQueue();
    } finally {
      await workers.close();
    }
  });

  it('changes nothing the second time', async () => {
    expect(await migrate(migrating, service)).toEqual([]);
    await works(service);
  });

  it('needs no right to make roles where somebody else has given them', async () => {
    await cluster.admin.query(`create role owner login password 'owner'`);
    await cluster.admin.query(`create role other login password 'other'`);
    await cluster.admin.query('grant mana_credits_service to owner, other');
    await cluster.admin.query('create database others owner owner');
    const other = cluster.url('others', 'other');
    expect(await migrate(cluster.url('others', 'owner'), other)).toEqual(MIGRATIONS);
    await works(other);
  });
});

/** Runs a command as the service would. */
async function works(url: string): Promise<void> {
  const ledger = await openLedger(url);
  try {
    await ledger.account('bob').grant(credits(1));
  } finally {
    await ledger.close();
  }
}

it('brings a new database up to date once, however many processes do it at once', async () => {
  const database = await createTestDatabase('template1');
  try {
    const done = await Promise.all(Array.from({ length: 4 }, () => migrate(database.url)));
    expect(done.flat()).toEqual(MIGRATIONS);
  } finally {
    await database.close();
  }
});

it('says that the migration failed where nothing answers', async () => {
  await expect(migrate('postgres://nobody@127.0.0.1:1/nothing')).rejects.toThrow(/^the migration failed$/);
});

it('ends with an error, and the process lives on, where the connection is lost on the way', async () => {
  const database = await createTestDatabase();
  const proxy = await tcpProxy(database.url);
  try {
    // It has to wait for this, in the middle of its transaction.
    await database.superuser.query('begin; lock table kysely_migration in access exclusive mode');
    const migrated = migrate(proxy.url);
    const lost = expect(migrated).rejects.toThrow('the migration failed');
    await eventually(async () => {
      const { rowCount } = await database.superuser.query(
        'select from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())',
      );
      expect(rowCount).toBe(1);
    });
    await proxy.cut();
    await lost;
  } finally {
    await database.superuser.query('rollback');
    await proxy.close();
    await database.close();
  }
});
