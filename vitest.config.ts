import { configDefaults, defineConfig } from 'vitest/config';

/** `npm test` needs nothing but Node; what needs a Redis server, or Postgres for everything, is left out where it is not there. */
const NEEDS_REDIS = 'test/**/redis-*.test.ts';
const NEEDS_POSTGRES = ['test/**/postgres-*.test.ts', 'test/**/*.postgres.test.ts'];
// oxlint-disable-next-line node/no-process-env -- what the suites run on is chosen by the npm script.
const on = process.env['MANA_TEST_ON'];

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(on === undefined ? [NEEDS_REDIS] : NEEDS_POSTGRES)],
    globalSetup: ['test/support/global-setup.ts'],
    // Tests start processes and end connections: each file has a process of its own, three at a time, since they
    // mostly wait.
    pool: 'forks',
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 30_000,
  },
});
