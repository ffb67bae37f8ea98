import { afterAll, beforeAll } from 'vitest';
import type { ApiClient } from './api-client.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { type Service, startService } from './service.ts';

/** A database and a service on it, for all tests of a file. For when the tests run. */
export function useService(): { readonly database: TestDatabase; readonly service: Service; readonly app: ApiClient } {
  let database: TestDatabase | undefined;
  let made: { readonly service: Service; readonly app: ApiClient } | undefined;
  const there = <Part>(part: Part | undefined): Part => {
    if (part === undefined) throw new Error('the tests do not run yet');
    return part;
  };
  beforeAll(async () => {
    database = await createTestDatabase();
    const service = await startService({ databaseUrl: database.url });
    made = { service, app: service.app() };
  });
  afterAll(async () => {
    await made?.service.close();
    await database?.close();
  });
  return {
    get database() {
      return there(database);
    },
    get service() {
      return there(made).service;
    },
    get app() {
      return there(made).app;
    },
  };
}
