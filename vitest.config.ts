import { configDefaults, defineConfig } from 'vitest/config';

/*
 * `npm test` needs nothing but Node, and keeps everything in Postgres. What is about other servers runs on those
 * (test:redis, test:kurrent), and what is about Postgres does not. What takes long since it starts many processes
 * or copies whole logs runs by itself (test:setups).
 */
const REDIS = 'test/**/redis-*.test.ts';
const KURRENT = 'test/events/kurrent/**';
const POSTGRES = ['test/**/postgres-*.test.ts', 'test/**/*.postgres.test.ts'];
const SETUPS = [
  'test/cli/{alive,log-*,rebuild*}.test.ts',
  'test/deploy/{image,restore}.test.ts',
  'test/entries/{rolling-restart,two-apis}.test.ts',
  'test/workers/takeover.test.ts',
];
const left: { readonly [on: string]: readonly string[] } = {
  all: [REDIS, KURRENT, ...SETUPS],
  setups: [REDIS, KURRENT],
  redis: [...POSTGRES, KURRENT],
  kurrent: [...POSTGRES, REDIS],
};
// oxlint-disable-next-line node/no-process-env -- what the suites run on is chosen by the npm script.
const on = process.env['MANA_TEST_ON'] ?? 'all';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(left[on] ?? [])],
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
