// One Chromium for all files of tests: each connects to it.

import { chromium } from "playwright-core";
import type { TestProject } from "vitest/node";

const quiet = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

declare module "vitest" {
  export interface ProvidedContext {
    browser: string;
  }
}

export default async function setup({ provide }: Pick<TestProject, "provide">) {
  const server = await chromium.launchServer({
    executablePath: process.env.HANSA_CHROMIUM ?? "/usr/bin/chromium",
    args: quiet,
    host: "127.0.0.1",
  });
  provide("browser", server.wsEndpoint());
  return () => server.close();
}
