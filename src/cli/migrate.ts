import { readConfig } from '../config.ts';
import { migrate } from '../migrate.ts';
import { runEntry } from '../shutdown.ts';

/** Brings the database at DATABASE_URL (or MIGRATION_DATABASE_URL) up to date. */
await runEntry(async () => {
  const { migrationDatabaseUrl, databaseUrl } = readConfig(process.env);
  const done = await migrate(migrationDatabaseUrl, databaseUrl);
  console.log(done.length === 0 ? 'The database is up to date.' : `Migrated: ${done.join(', ')}`);
});
