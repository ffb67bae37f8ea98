import { inject } from 'vitest';

/*
 * What the suites run on. By default Postgres is all: it keeps the log and the queue. `MANA_TEST_ON=redis` puts the queue
 * on Redis; `MANA_TEST_ON=kurrent` puts the log on KurrentDB as well. Tests share a server, so each database has names
 * of its own there.
 */

/** The environment of a service on a test database, as its configuration reads it. */
export function environmentOn(databaseUrl: string): Readonly<Record<string, string>> {
  const name = new URL(databaseUrl).pathname.slice(1);
  const redisUrl = inject('redisUrl');
  const eventStoreUrl = inject('eventStoreUrl');
  return {
    DATABASE_URL: databaseUrl,
    ...(redisUrl !== null && { REDIS_URL: redisUrl, REDIS_PREFIX: name }),
    ...(eventStoreUrl !== null && { EVENTSTORE_URL: eventStoreUrl, EVENTSTORE_PREFIX: `${name}.` }),
  };
}
