import { defineConfig } from "vitest/config";

// In a browser, against the running cluster that HANSA_CONSOLE_URL names; one file after another, as all change it.
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
