import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The master serves the built files under /ui; in development its API is proxied from a running master.
const master = process.env.HANSA_MASTER ?? "http://127.0.0.1:8080";
const proxy = { "/hansa": { target: master, ws: true }, "/v2": master };

// What the master says with every file, so that whatever breaks it breaks here first.
const policy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: { target: "es2022", sourcemap: false },
  server: { proxy },
  preview: { proxy, headers: { "Content-Security-Policy": policy } },
  test: { include: ["src/**/*.test.ts"] },
});
