import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate } from '../../src/migrate.ts';
import { killAll, startChild } from '../entries/children.ts';
import { credits } from '../support/account-samples.ts';
import { type OwnCluster, startOwnCluster } from '../support/own-cluster.ts';
import { caughtUp, eventually, openWorkers, work } from '../workers/working.ts';
import { rowsIn } from './rebuilding.ts';

/* A service with a user of its own, who has no right but the role's, and an owner who is no superuser. */

let cluster: OwnCluster;
let superuser: pg.Client;

beforeAll(async () => {
  cluster = await startOwnCluster();
  await cluster.admin.query(`create role migrator login createrole password 'migrator'`);
  await cluster.admin.query(`create role service login password 'service'`);
  await cluster.admin.query('create database ledger owner migrator');
  await migrate(cluster.url('ledger', 'migrator'), cluster.url('ledger', 'service'));
  superuser = new pg.Client({ connectionString: cluster.url('ledger') });
  await superuser.connect();
}, 60_000);

afterAll(async () => {
  killAll();
  await superuser?.end();
  await cluster?.close();
});

async function rebuild(command: string, env: Readonly<Record<string, string>>) {
  const child = startChild({ args: ['--import', 'tsx', 'src/cli/rebuild.ts', command], env });
  const { code } = await child.ended();
  return { code, stderr: child.stderr() };
}

it('needs no right of the service but those that it has, and the owner for what makes and renames', async () => {
  const service = { DATABASE_URL: cluster.url('ledger', 'service') };
  const both = { ...service, MIGRATION_DATABASE_URL: cluster.url('ledger', 'migrator') };
  const workers = await openWorkers(service.DATABASE_URL);
  try {
    await work(workers.ledger, ['ada', 'bob'], 2);
    const refused = await rebuild('start', service);
    expect(refused).toMatchObject({ code: 2 });
    expect(refused.stderr).toMatch(/^MIGRATION_DATABASE_URL must name the owner of the read models: permission denied/);

    for (const command of ['start', 'status', 'compare', 'switch', 'back', 'switch']) {
      expect(await rebuild(command, both)).toEqual({ code: 0, stderr: '' });
      await workers.ledger.account('ada').use(credits(1));
    }
    await caughtUp(superuser);
    await eventually(async () => {
      expect(await rowsIn(superuser, 'read_model_previous')).toEqual(await rowsIn(superuser, 'read_model'));
    });
    expect(await rebuild('drop', both)).toEqual({ code: 0, stderr: '' });
  } finally {
    await workers.close();
  }
}, 120_000);
