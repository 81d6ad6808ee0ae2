import { defineConfig } from "vitest/config";

// In a browser, against the running cluster that HANSA_CONSOLE_URL names; one file after another, as all change it. Tests that
// only look are concurrent: most of a test's time is a page waiting for the master. `--mode measure` and `--mode screenshots`
// run e2e/measure.ts and e2e/screenshots.ts instead.
export default defineConfig(({ mode }) => ({
  test: {
    include: [mode === "test" ? "e2e/**/*.test.ts" : `e2e/${mode}.ts`],
    globalSetup: ["e2e/setup.ts"],
    fileParallelism: false,
    maxConcurrency: 3,
    // Far more than any test takes, for machines that do something else, too.
    testTimeout: mode === "test" ? 90_000 : 1_800_000,
    hookTimeout: 120_000,
    disableConsoleIntercept: true,
  },
}));
