import { defineConfig } from "vitest/config";

// In a browser, against the running cluster that HANSA_CONSOLE_URL names; one file after another, as all change it. Tests that
// only look are concurrent: most of a test's time is a page waiting for the master.
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    globalSetup: ["e2e/setup.ts"],
    fileParallelism: false,
    maxConcurrency: 3,
    // Far more than any test takes, for machines that do something else, too.
    testTimeout: 90_000,
    hookTimeout: 120_000,
  },
});
