import { defineConfig } from 'vitest/config'

/**
 * The suffix is the price: unit tests are pure and fast, int tests use real servers, e2e tests run everything. Simulated
 * worlds are pure, and many.
 */
const suite = (name: string) => ({
  name,
  include: [`{packages,services,infra,test}/**/*.${name}.test.ts`],
  exclude: ['**/node_modules/**'],
  // kafkajs asks for negative timeouts, of which newer releases of Node.js warn at each start.
  execArgv: ['--disable-warning=TimeoutNegativeWarning'],
})

export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: ['default', './test/reporter.ts'],
    projects: [
      // Pure tests share nothing that one could spoil for another, so they need no process of their own.
      { test: { ...suite('unit'), isolate: false } },
      { test: { ...suite('sim'), isolate: false, testTimeout: 3_600_000 } },
      {
        test: {
          ...suite('int'),
          globalSetup: ['./test/servers.ts'],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          ...suite('e2e'),
          globalSetup: ['./test/servers.ts'],
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
