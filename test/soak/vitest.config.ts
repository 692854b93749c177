import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** For `npm run soak` alone: `npm test` has the short run. */
export default defineConfig({
  root: fileURLToPath(new URL('../../', import.meta.url)),
  test: {
    include: ['test/soak/long-run.ts'],
    pool: 'forks',
    teardownTimeout: 10_000,
    disableConsoleIntercept: true,
  },
});
