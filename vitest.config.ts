import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/bench/**'],
    // Real servers, real browsers: a test may have to start one.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    teardownTimeout: 10_000,
    // A native addon and signals behave in a process of its own as they do in production; not so in a worker thread.
    pool: 'forks',
    maxWorkers: 3,
    // For CI, on whose machines everything may stand still for seconds: what fails is tried once more, and marked in the report
    // (`retry x1`), to be looked at. Not what a property test found: the second try has other examples.
    retry:
      process.env.SIDESTREAM_SECOND_TRY === undefined ? 0 : { count: 1, condition: /^(?!Property failed)/ },
  },
});
