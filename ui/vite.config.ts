import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The master serves the built files under /ui; in development its API is proxied from a running master.
export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: { target: "es2022", sourcemap: false },
  server: { proxy: { "/hansa": "http://127.0.0.1:8080", "/v2": "http://127.0.0.1:8080" } },
  test: { environment: "jsdom", include: ["src/**/*.test.{ts,tsx}"] },
});
